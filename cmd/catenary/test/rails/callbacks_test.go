package rails

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The lab records all that surrounds its code: callbacks, exceptions and who rescues them,
// notifications, runs of the executor, CurrentAttributes, tagged log lines. "rebuilt" rebuilds the
// objects for each command.
func TestCallbacks_AreTheSameAsNatively(t *testing.T) {
	t.Parallel()
	servers := []string{"rails", "catenary", "rebuilt"}
	all := make(witnesses, len(servers))
	t.Run("witness", func(t *testing.T) {
		for i, server := range servers {
			t.Run(server, func(t *testing.T) {
				t.Parallel()
				all[i] = newWitness(t, server)
			})
		}
	})
	if t.Failed() {
		return
	}
	for _, w := range all {
		w.t = t
		t.Cleanup(w.world.Close)
	}
	all.play()
	t.Log("\n" + strings.Join(all[0].lines, "\n"))
	for i, server := range servers[1:] {
		for _, difference := range compareAccounts(all[0].lines, all[i+1].lines) {
			t.Errorf("%s: %s", server, difference)
		}
	}
}

// A witness records what each command made the application do.
type witness struct {
	t       *testing.T
	world   *stage.World
	browser *stage.Browser
	lines   []string
	frames  []string // frames since the last command
	ticks   bool     // a timer runs, so repeated lines count once
}

const witnessTag = "[witness] [alice]"

func newWitness(t *testing.T, server string) *witness {
	w, err := stage.StartWorld(server, "own", "LAB_WITNESS=true", "LAB_LOG_LEVEL=debug")
	if err != nil {
		t.Fatal(err)
	}
	if server == "rails" { // the connection of WarmUpCable
		if err := w.App.AwaitEvents("1", stage.Events, []string{"connect", "disconnect"}); err != nil {
			t.Fatal(err)
		}
	}
	one := &witness{t: t, world: w}
	one.reset()
	return one
}

func (w *witness) reset() {
	w.frames = nil
	if err := w.world.App.Ask("DELETE /events"); err != nil {
		w.t.Fatal(err)
	}
	w.world.App.Process.Output.Empty()
}

// witnesses do the same things concurrently. The first is native Rails.
type witnesses []*witness

func (all witnesses) play() {
	for _, params := range []string{
		`{"channel":"WitnessChannel"}`,
		`{"channel":"WitnessChannel","reject":true}`,
		`{"channel":"WitnessChannel","abort":"subscribe"}`,
		`{"channel":"WitnessChannel","abort":"unsubscribe"}`,
		`{"channel":"WitnessChannel","raise":"subscribed"}`,
		`{"channel":"WitnessChannel","raise":"for the channel"}`,
		`{"channel":"WitnessChannel","raise":"unsubscribed"}`,
	} {
		all.connect()
		all.send(stage.Command("subscribe", params, nil))
		all.send(stage.Command("message", params, `{"action":"look","person":"ann"}`))
		all.send(stage.Command("message", params, `{"action":"look","person":"bob"}`))
		all.send(stage.Command("unsubscribe", params, nil))
		all.send(stage.Command("message", params, `{"action":"look"}`))
		all.disconnect()
	}

	const plain = `{"channel":"WitnessChannel"}`
	all.connect()
	all.send(stage.Command("subscribe", plain, nil))
	for _, action := range []string{"fail_for_channel", "fail_for_connection", "fail_for_nobody", "unknown", "lock", "look"} {
		all.send(stage.Command("message", plain, fmt.Sprintf(`{"action":%q}`, action)))
	}
	all.disconnect()

	const stream = `{"channel":"WitnessStreamChannel"}`
	all.connect()
	all.send(stage.Command("subscribe", stream, nil))
	all.do("a broadcast", func(w *witness) error { return w.world.Redis.Do("PUBLISH witnessed 1") })
	all.send(stage.Command("message", stream, `{"action":"look","person":"cid"}`))
	all.disconnect()

	// The timer ticks until the unsubscribe, on a busy machine more than once.
	const timer = `{"channel":"WitnessTimerChannel"}`
	all.connect()
	all.do(timer, func(w *witness) error {
		w.ticks = true
		w.browser.Send(stage.Command("subscribe", timer, nil))
		for range 2 {
			if e, ok := stage.NextFrame(w.browser); ok {
				w.frames = append(w.frames, "< "+e.String())
			}
		}
		return w.browser.Send(stage.Command("unsubscribe", timer, nil))
	})
	for _, w := range all {
		w.ticks = false
	}
	all.disconnect()
}

func (all witnesses) connect() {
	all.do("connect", func(w *witness) (err error) {
		w.browser, err = stage.Dial(w.world.Address, stage.Handshake("GET", "/cable?witness=alice", w.world.Address, nil))
		if err == nil {
			w.t.Cleanup(w.browser.Close)
		}
		return err
	})
}

func (all witnesses) send(command string) {
	all.do(command, func(w *witness) error { return w.browser.Send(command) })
}

func (all witnesses) disconnect() {
	all.do("the end", func(w *witness) error { w.browser.Close(); return nil })
}

// do makes all witnesses act, waits until the effects are the same as natively, and adds them to
// lines.
func (all witnesses) do(what string, act func(*witness) error) {
	var acting sync.WaitGroup
	for _, w := range all {
		acting.Go(func() {
			if err := act(w); err != nil {
				w.t.Errorf("%s: %v", what, err)
			}
		})
	}
	acting.Wait()
	notes := make([][]string, len(all))
	for stable, deadline := 0, time.Now().Add(stage.Patience); stable < 3; stable++ {
		time.Sleep(100 * time.Millisecond)
		for i, w := range all {
			if now := w.effects(); !slices.Equal(notes[i], now) {
				notes[i], stable = now, -1
			}
		}
		for _, some := range notes {
			if len(some) == 0 || len(compareAccounts(chapter(what, notes[0]), chapter(what, some))) > 0 {
				stable = -1
			}
		}
		if time.Now().After(deadline) {
			for i, some := range notes[1:] {
				all[0].t.Errorf("%s: %s", what, strings.Join(compareAccounts(chapter(what, notes[0]), chapter(what, some)), ""))
				all[i+1].t.Logf("the end of catenary's output:\n%s", all[i+1].world.Catenary.Process.Output.Tail())
			}
			all[0].t.FailNow()
		}
	}
	for i, w := range all {
		w.lines = append(append(w.lines, "> "+what), notes[i]...)
		w.reset()
	}
}

func chapter(what string, notes []string) []string {
	return append([]string{"> " + what}, notes...)
}

// effects returns the effects since the last command. While a timer runs, each line counts once.
func (w *witness) effects() (notes []string) {
	for {
		e, ok := w.browser.Poll()
		if !ok || e.Kind == "end" {
			break
		}
		w.frames = append(w.frames, "< "+e.String())
	}
	for _, line := range slices.Concat(w.frames, w.executions(), w.logLines()) {
		if !w.ticks || !slices.Contains(notes, line) {
			notes = append(notes, line)
		}
	}
	return notes
}

// executions returns the recorded runs of the executor.
func (w *witness) executions() (lines []string) {
	text, err := w.world.App.Request("GET", "/events", "")
	if err != nil {
		w.t.Fatal(err)
	}
	var log []struct{ Seen []string }
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		w.t.Fatalf("read the event log: %v", err)
	}
	for _, run := range log {
		for i, seen := range run.Seen {
			mark := "  | "
			if i == 0 {
				mark = "  + "
			}
			lines = append(lines, mark+seen)
		}
	}
	return lines
}

var (
	backtrace = regexp.MustCompile(`\]: /.*`)
	changing  = regexp.MustCompile(`\d[\d.]*ms|0x[0-9a-f]+|127\.0\.0\.1| at \d{4}-.*`)
)

// logLines returns the log lines with the connection's tag, without the parts that always change.
func (w *witness) logLines() (lines []string) {
	for line := range strings.Lines(w.world.App.Process.Output.String()) {
		if strings.Contains(line, witnessTag) {
			line = backtrace.ReplaceAllString(strings.TrimSpace(line), "]: …")
			lines = append(lines, "  log "+changing.ReplaceAllString(line, "…"))
		}
	}
	return lines
}

// compareAccounts compares two accounts command by command.
func compareAccounts(want, got []string) (differences []string) {
	wants, gots := chapters(want), chapters(got)
	for i := range max(len(wants), len(gots)) {
		var a, b string
		if i < len(wants) {
			a = wants[i]
		}
		if i < len(gots) {
			b = gots[i]
		}
		if !sameChapter(a, b) {
			differences = append(differences, fmt.Sprintf("natively\n%sbehind catenary\n%s", a, b))
		}
	}
	return differences
}

func sameChapter(a, b string) bool {
	return a == b || strings.Contains(a, confirmation) && sortedLines(a) == sortedLines(b)
}

// Rails confirms a subscription with streams at any time, on the thread that listens to Redis.
const confirmation = "outside of the executor: transmit_subscription_confirmation"

func sortedLines(chapter string) string {
	chapter = strings.ReplaceAll(strings.ReplaceAll(chapter, "  + ", "  | "), "outside of the executor: ", "")
	lines := strings.Split(chapter, "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func chapters(account []string) (chapters []string) {
	for _, line := range account {
		if strings.HasPrefix(line, "> ") {
			chapters = append(chapters, "")
		}
		chapters[len(chapters)-1] += line + "\n"
	}
	return chapters
}
