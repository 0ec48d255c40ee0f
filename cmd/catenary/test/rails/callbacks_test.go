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

// TestCallbacks_AreThoseOfActionCable has the laboratory write down all that surrounds its code: callbacks, exceptions and
// who rescues them, notifications, the executor's runs, CurrentAttributes, tagged lines of the log. Behind catenary, with the
// objects kept or rebuilt for each command, it is the same as natively.
func TestCallbacks_AreThoseOfActionCable(t *testing.T) {
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
	all.account()
	t.Log("\n" + strings.Join(all[0].lines, "\n"))
	for i, server := range servers[1:] {
		for _, difference := range differing(all[0].lines, all[i+1].lines) {
			t.Errorf("%s: %s", server, difference)
		}
	}
}

// A witness tells what each of its commands made the application do.
type witness struct {
	t       *testing.T
	world   *stage.World
	browser *stage.Browser
	lines   []string
	heard   []string // frames of this chapter
	ticks   bool     // a timer runs
}

const witnessTag = "[witness] [alice]"

func newWitness(t *testing.T, server string) *witness {
	w, err := stage.StartWorld(server, "own", "LAB_WITNESS=true", "LAB_LOG_LEVEL=debug")
	if err != nil {
		t.Fatal(err)
	}
	if server == "rails" { // somebody was there before
		if err := w.App.AwaitEvents("1", stage.Events, []string{"connect", "disconnect"}); err != nil {
			t.Fatal(err)
		}
	}
	one := &witness{t: t, world: w}
	one.forget()
	return one
}

func (w *witness) forget() {
	w.heard = nil
	if err := w.world.App.Ask("DELETE /events"); err != nil {
		w.t.Fatal(err)
	}
	w.world.App.Process.Output.Empty()
}

// witnesses do the same at the same time, the first of them natively.
type witnesses []*witness

func (all witnesses) account() {
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
		all.tell(stage.Command("subscribe", params, nil))
		all.tell(stage.Command("message", params, `{"action":"look","person":"ann"}`))
		all.tell(stage.Command("message", params, `{"action":"look","person":"bob"}`))
		all.tell(stage.Command("unsubscribe", params, nil))
		all.tell(stage.Command("message", params, `{"action":"look"}`))
		all.end()
	}

	const plain = `{"channel":"WitnessChannel"}`
	all.connect()
	all.tell(stage.Command("subscribe", plain, nil))
	for _, action := range []string{"fail_for_channel", "fail_for_connection", "fail_for_nobody", "unknown", "lock", "look"} {
		all.tell(stage.Command("message", plain, fmt.Sprintf(`{"action":%q}`, action)))
	}
	all.end()

	const stream = `{"channel":"WitnessStreamChannel"}`
	all.connect()
	all.tell(stage.Command("subscribe", stream, nil))
	all.do("a broadcast", func(w *witness) error { return w.world.Redis.Do("PUBLISH witnessed 1") })
	all.tell(stage.Command("message", stream, `{"action":"look","person":"cid"}`))
	all.end()

	// It ticks until it is unsubscribed, which on a busy machine is more than once.
	const timer = `{"channel":"WitnessTimerChannel"}`
	all.connect()
	all.do(timer, func(w *witness) error {
		w.ticks = true
		w.browser.Send(stage.Command("subscribe", timer, nil))
		for range 2 {
			if e, ok := stage.NextFrame(w.browser); ok {
				w.heard = append(w.heard, "< "+e.String())
			}
		}
		return w.browser.Send(stage.Command("unsubscribe", timer, nil))
	})
	for _, w := range all {
		w.ticks = false
	}
	all.end()
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

func (all witnesses) tell(command string) {
	all.do(command, func(w *witness) error { return w.browser.Send(command) })
}

func (all witnesses) end() {
	all.do("the end", func(w *witness) error { w.browser.Close(); return nil })
}

// do has all do something, waits until as much has come of it everywhere as natively, and notes that as a chapter.
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
			if now := w.notes(); !slices.Equal(notes[i], now) {
				notes[i], stable = now, -1
			}
		}
		for _, some := range notes {
			if len(some) == 0 || len(differing(chapter(what, notes[0]), chapter(what, some))) > 0 {
				stable = -1
			}
		}
		if time.Now().After(deadline) {
			for i, some := range notes[1:] {
				all[0].t.Errorf("%s: %s", what, strings.Join(differing(chapter(what, notes[0]), chapter(what, some)), ""))
				all[i+1].t.Logf("it wrote at last:\n%s", all[i+1].world.Catenary.Process.Output.Tail())
			}
			all[0].t.FailNow()
		}
	}
	for i, w := range all {
		w.lines = append(append(w.lines, "> "+what), notes[i]...)
		w.forget()
	}
}

func chapter(what string, notes []string) []string {
	return append([]string{"> " + what}, notes...)
}

// notes are what has come of the last thing done so far. Where a timer goes on, each line counts once.
func (w *witness) notes() (notes []string) {
	for {
		e, ok := w.browser.Said()
		if !ok || e.Kind == "end" {
			break
		}
		w.heard = append(w.heard, "< "+e.String())
	}
	for _, line := range slices.Concat(w.heard, w.seen(), w.logged()) {
		if !w.ticks || !slices.Contains(notes, line) {
			notes = append(notes, line)
		}
	}
	return notes
}

// seen are the runs of the executor in which anything happened.
func (w *witness) seen() (lines []string) {
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

// logged are the lines of the log with the tag of the connection, without what is never twice the same.
func (w *witness) logged() (lines []string) {
	for line := range strings.Lines(w.world.App.Process.Output.String()) {
		if strings.Contains(line, witnessTag) {
			line = backtrace.ReplaceAllString(strings.TrimSpace(line), "]: …")
			lines = append(lines, "  log "+changing.ReplaceAllString(line, "…"))
		}
	}
	return lines
}

// differing compares two accounts command by command.
func differing(want, got []string) (differences []string) {
	wants, gots := chapters(want), chapters(got)
	for i := range max(len(wants), len(gots)) {
		var a, b string
		if i < len(wants) {
			a = wants[i]
		}
		if i < len(gots) {
			b = gots[i]
		}
		if !alike(a, b) {
			differences = append(differences, fmt.Sprintf("natively\n%sbut here\n%s", a, b))
		}
	}
	return differences
}

func alike(a, b string) bool {
	return a == b || strings.Contains(a, elsewhere) && inAnyOrder(a) == inAnyOrder(b)
}

// Rails confirms a subscription with streams on the thread that listens to Redis, at any moment.
const elsewhere = "outside of the executor: transmit_subscription_confirmation"

func inAnyOrder(chapter string) string {
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
