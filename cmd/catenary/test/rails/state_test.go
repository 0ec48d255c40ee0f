package rails

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// An operator learns which variable of which channel a rebuilt object will lack.
func TestState_AVariableThatCannotBeKeptIsLoggedOnce(t *testing.T) {
	t.Parallel()
	w := usualWorlds.Find(t, "catenary")
	const identifier = `{"channel":"KeepsakeChannel"}` // of no other test in this world
	for range 2 {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		b.Send(stage.Command("subscribe", identifier, nil))
		for _, want := range []string{`{"type":"welcome"}`, stage.Confirmation(identifier)} {
			if e, ok := stage.NextFrame(b); !ok || e.Text != want {
				t.Fatalf("got %s, want %s", e, want)
			}
		}
	}
	if err := w.Catenary.Process.WaitFor(func() error { return stage.Wrote(w.Catenary.Process, "@waiting") }); err != nil {
		t.Error(err)
	}
	log := w.Catenary.Process.Output.String()
	for _, variable := range []string{"@lock (a Thread::Mutex)", "@greeting (a Proc)", "@waiting (a Thread::Queue)"} {
		if n := strings.Count(log, "KeepsakeChannel: "+variable); n != 1 {
			t.Errorf("%d warnings name %s:\n%s", n, variable, w.Catenary.Process.Output.Tail())
		}
	}
}

// The new process rebuilds the objects, and no browser is disconnected. Rails stops right after the
// last change.
func TestState_SurvivesARestartOfRails(t *testing.T) {
	t.Parallel()
	w, err := stage.StartWorld("catenary", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	const identifier = `{"channel":"CounterChannel","owner":5}`
	var browsers []*stage.Browser
	for range 20 {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable?tenant=acme", w.Address, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		browsers = append(browsers, b)
	}
	everybody := func(text string, want ...string) {
		t.Helper()
		for _, b := range browsers {
			if text != "" {
				b.Send(text)
			}
		}
		for _, b := range browsers {
			for _, frame := range want {
				if e, ok := stage.NextFrame(b); !ok || !strings.Contains(e.Text, frame) {
					t.Fatalf("got %s, want %s", e, frame)
				}
			}
		}
	}
	increment := stage.Command("message", identifier, `{"action":"increment"}`)
	everybody(stage.Command("subscribe", identifier, nil), "welcome", "confirm_subscription")
	for n := 1; n <= 2; n++ {
		everybody(increment, fmt.Sprintf(`"count":%d,"owner":"5","greeting":"hello acme"`, n))
	}
	w.App.Restart(t)
	everybody(increment, `"count":3,"owner":"5","greeting":"hello acme"`)
	for _, b := range browsers {
		b.Close()
	}
	var disconnects []string
	if !stage.Await(func() bool {
		events, err := w.App.Events("1", stage.Events)
		if err != nil {
			t.Fatal(err)
		}
		disconnects = slices.DeleteFunc(events, func(event string) bool { return event != "disconnect" })
		return len(disconnects) == len(browsers)
	}) {
		t.Fatalf("disconnect ran for %d of %d connections", len(disconnects), len(browsers))
	}
}
