package rails

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// What code leaves on its thread (a locale, a time zone, thread and fiber locals, a database role)
// is found only where it is found natively. Rails' command threads, of which there is one here,
// keep it from one command to the next. Web requests and the middleware of a handshake do not find
// it, and no command finds what those leave.
func TestLeftovers_AreFoundOnlyWhereTheyAreNatively(t *testing.T) {
	t.Parallel()
	servers := []string{"rails", "catenary", "rebuilt", "post"}
	all := make([][]finding, len(servers))
	t.Run("play", func(t *testing.T) {
		for i, server := range servers {
			t.Run(server, func(t *testing.T) {
				t.Parallel()
				all[i] = newLeftoverPlayer(t, server).play()
			})
		}
	})
	for _, found := range all {
		if found == nil {
			return
		}
	}
	clean := all[0][0].found
	natively := map[string]map[string]any{}
	for _, f := range all[0] {
		t.Logf("natively %s: %v", f.where, f.found)
		natively[f.where] = f.found
	}
	if left := natively["a command after it"]; left["locale"] != "fr" || left["variable"] != "command" || left["role"] != "reading" {
		t.Fatalf("natively, a command leaves nothing on its thread: %v", left)
	}
	for i, server := range servers[1:] {
		for _, f := range all[i+1] {
			t.Logf("%s %s: %v", server, f.where, f.found)
			for name, value := range f.found {
				if value != natively[f.where][name] && value != clean[name] {
					t.Errorf("%s, %s: %s is %v, natively %v", server, f.where, name, value, natively[f.where][name])
				}
			}
		}
	}
}

// A finding is what code found on its thread.
type finding struct {
	where string
	found map[string]any
}

type leftoverPlayer struct {
	t     *testing.T
	world *stage.World
	found []finding
}

func newLeftoverPlayer(t *testing.T, server string) *leftoverPlayer {
	// With one thread each, whatever is left is found.
	w, err := stage.StartWorld(server, "own", "LAB_LEFTOVERS=true", "LAB_DATABASE=true", "LAB_WORKERS=1", "RAILS_MAX_THREADS=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return &leftoverPlayer{t: t, world: w}
}

const leftovers = `{"channel":"LeftoversChannel"}`

func (l *leftoverPlayer) play() []finding {
	l.findInRequest("before all")
	one, other := l.connect("first", ""), l.connect("second", "")
	l.findInHandshake("before all", "second")

	one.perform(`{"action":"leave","name":"command"}`)
	one.expectMessages(`{"left":true}`)
	l.findInCommand("a command after it", one)
	l.findInCommand("a command of another after it", other)
	l.findInRequest("the web after a command")
	l.connect("third", "")
	l.findInHandshake("after a command", "third")

	l.connect("fourth", "&leave=middleware")
	l.findInCommand("a command after middleware", other)
	l.connect("fifth", "")
	l.findInHandshake("after middleware", "fifth")

	if err := l.world.App.Ask("POST /leftovers"); err != nil {
		l.t.Fatal(err)
	}
	l.findInRequest("the web after the web")
	l.findInCommand("a command after the web", other)
	return l.found
}

func (l *leftoverPlayer) connect(uid, query string) *subscriber {
	l.t.Helper()
	b, err := stage.Dial(l.world.Address, stage.Handshake("GET", "/cable?uid="+uid+query, l.world.Address, nil))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(b.Close)
	o := &subscriber{b, l.t, leftovers}
	o.subscribe()
	return o
}

func (l *leftoverPlayer) findInCommand(where string, o *subscriber) {
	l.t.Helper()
	o.perform(`{"action":"find"}`)
	e, _ := stage.NextFrame(o.Browser)
	var frame struct{ Message json.RawMessage }
	if err := json.Unmarshal([]byte(e.Text), &frame); err != nil {
		l.t.Fatalf("%s: %s", where, e)
	}
	l.record(where, string(frame.Message))
}

func (l *leftoverPlayer) findInRequest(where string) {
	l.t.Helper()
	text, err := l.world.App.Request("GET", "/leftovers", "")
	if err != nil {
		l.t.Fatal(err)
	}
	l.record(where, text)
}

// findInHandshake records what a user's handshake found in middleware, log tag and connect.
func (l *leftoverPlayer) findInHandshake(when, uid string) {
	l.t.Helper()
	text, err := l.world.App.Request("GET", "/events", "")
	if err != nil {
		l.t.Fatal(err)
	}
	var events []struct {
		Event, User, Upgrade string
		Found                json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &events); err != nil {
		l.t.Fatal(err)
	}
	seen := map[string]bool{} // an event comes more than once where objects are rebuilt
	for _, e := range events {
		if e.User == uid && e.Found != nil {
			l.record(fmt.Sprintf("%s, %s", e.Event, when), string(e.Found))
			if e.Upgrade != "websocket" {
				l.t.Errorf("the %s gets the header Upgrade as %q", e.Event, e.Upgrade)
			}
			seen[e.Event] = true
		}
	}
	if len(seen) != 3 {
		l.t.Errorf("the handshake of %s was recorded in %v, want middleware, log tag and connect", uid, seen)
	}
}

func (l *leftoverPlayer) record(where, text string) {
	l.t.Helper()
	found := map[string]any{}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		l.t.Fatalf("%s: %v in %s", where, err, text)
	}
	l.found = append(l.found, finding{where, found})
}
