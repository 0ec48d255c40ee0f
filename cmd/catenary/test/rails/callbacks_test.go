package rails

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestCallbacks_AreThoseOfActionCable has the laboratory write down all that surrounds its code: callbacks, exceptions and
// who rescues them, notifications, the executor's runs, CurrentAttributes, tagged lines of the log. Behind catenary, with the
// objects kept or rebuilt for each command, it is the same as natively.
func TestCallbacks_AreThoseOfActionCable(t *testing.T) {
	servers := []string{"rails", "catenary", "rebuilt"}
	accounts := make([][]string, len(servers))
	t.Run("witness", func(t *testing.T) {
		for i, server := range servers {
			t.Run(server, func(t *testing.T) {
				t.Parallel()
				accounts[i] = newWitness(t, server).account()
			})
		}
	})
	if t.Failed() {
		return
	}
	t.Log("\n" + strings.Join(accounts[0], "\n"))
	for i, server := range servers[1:] {
		for _, difference := range differing(accounts[0], accounts[i+1]) {
			t.Errorf("%s: %s", server, difference)
		}
	}
}

// A witness tells what each of its commands made the application do.
type witness struct {
	t     *testing.T
	world *stage.World
	lines []string
}

const witnessTag = "[witness] [alice]"

func newWitness(t *testing.T, server string) *witness {
	w, err := stage.StartLab(server, "LAB_WITNESS=true", "LAB_LOG_LEVEL=debug")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return &witness{t: t, world: w}
}

func (w *witness) account() []string {
	for _, params := range []string{
		`{"channel":"WitnessChannel"}`,
		`{"channel":"WitnessChannel","reject":true}`,
		`{"channel":"WitnessChannel","abort":"subscribe"}`,
		`{"channel":"WitnessChannel","abort":"unsubscribe"}`,
		`{"channel":"WitnessChannel","raise":"subscribed"}`,
		`{"channel":"WitnessChannel","raise":"for the channel"}`,
		`{"channel":"WitnessChannel","raise":"unsubscribed"}`,
	} {
		b := w.connect()
		w.tell(b, stage.Command("subscribe", params, nil))
		w.tell(b, stage.Command("message", params, `{"action":"look","person":"ann"}`))
		w.tell(b, stage.Command("message", params, `{"action":"look","person":"bob"}`))
		w.tell(b, stage.Command("unsubscribe", params, nil))
		w.tell(b, stage.Command("message", params, `{"action":"look"}`))
		w.end(b)
	}

	const plain = `{"channel":"WitnessChannel"}`
	b := w.connect()
	w.tell(b, stage.Command("subscribe", plain, nil))
	for _, action := range []string{"fail_for_channel", "fail_for_connection", "fail_for_nobody", "unknown", "lock", "look"} {
		w.tell(b, stage.Command("message", plain, fmt.Sprintf(`{"action":%q}`, action)))
	}
	w.end(b)

	const stream = `{"channel":"WitnessStreamChannel"}`
	b = w.connect()
	w.tell(b, stage.Command("subscribe", stream, nil))
	w.lines = append(w.lines, "> a broadcast")
	if err := w.world.Redis.Do("PUBLISH witnessed 1"); err != nil {
		w.t.Fatal(err)
	}
	w.listen(b)
	w.tell(b, stage.Command("message", stream, `{"action":"look","person":"cid"}`))
	w.end(b)

	const timer = `{"channel":"WitnessTimerChannel"}`
	b = w.connect()
	w.lines = append(w.lines, "> "+timer)
	b.Send(stage.Command("subscribe", timer, nil))
	for range 2 {
		if e, ok := stage.NextFrame(b, stage.Patience); ok {
			w.lines = append(w.lines, "< "+e.String())
		}
	}
	w.tell(b, stage.Command("unsubscribe", timer, nil))
	w.end(b)
	return w.lines
}

func (w *witness) connect() *stage.Browser {
	b, err := stage.Dial(w.world.Address, stage.Handshake("GET", "/cable?witness=alice", w.world.Address, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(b.Close)
	w.lines = append(w.lines, "> connect")
	w.listen(b)
	return b
}

func (w *witness) tell(b *stage.Browser, command string) {
	w.lines = append(w.lines, "> "+command)
	b.Send(command)
	w.listen(b)
}

func (w *witness) end(b *stage.Browser) {
	w.lines = append(w.lines, "> the end")
	b.Close()
	w.listen(b)
}

// listen waits until nothing more happens, and notes all that did.
func (w *witness) listen(b *stage.Browser) {
	var seen, logged []string
	for quiet := 0; quiet < 3; quiet++ {
		time.Sleep(100 * time.Millisecond)
		nowSeen, nowLogged := w.seen(), w.logged()
		if !slices.Equal(seen, nowSeen) || !slices.Equal(logged, nowLogged) {
			quiet = -1
		}
		seen, logged = nowSeen, nowLogged
	}
	for {
		e, ok := stage.NextFrame(b, 20*time.Millisecond)
		if !ok || e.Kind == "end" {
			break
		}
		w.lines = append(w.lines, "< "+e.String())
	}
	w.lines = append(append(w.lines, seen...), logged...)
	if err := w.world.App.Ask("DELETE /events"); err != nil {
		w.t.Fatal(err)
	}
	w.world.App.Process.Output.Empty()
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
		if a != b && !(strings.Contains(a, elsewhere) && inAnyOrder(a) == inAnyOrder(b)) {
			differences = append(differences, fmt.Sprintf("natively\n%sbut here\n%s", a, b))
		}
	}
	return differences
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
