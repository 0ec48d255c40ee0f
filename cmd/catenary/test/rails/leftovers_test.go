package rails

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestLeftovers_StayWhereTheyStayNatively: what code leaves on its thread (a locale, a time zone, thread and fiber locals, a
// role of the database) is found by nobody who does not find it natively. Rails' own threads of commands, of which there is one
// here, keep it from one command to the next; neither web requests nor the middleware of a handshake find it, and what those
// leave no command finds.
func TestLeftovers_StayWhereTheyStayNatively(t *testing.T) {
	t.Parallel()
	servers := []string{"rails", "catenary", "rebuilt", "post"}
	all := make([][]finding, len(servers))
	t.Run("play", func(t *testing.T) {
		for i, server := range servers {
			t.Run(server, func(t *testing.T) {
				t.Parallel()
				all[i] = newLeaver(t, server).play()
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
		t.Fatalf("natively, nothing is left: %v", left)
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

// A finding is what somebody has found on his thread.
type finding struct {
	where string
	found map[string]any
}

type leaver struct {
	t     *testing.T
	world *stage.World
	found []finding
}

func newLeaver(t *testing.T, server string) *leaver {
	// With one thread each, whatever is left is found.
	w, err := stage.StartWorld(server, "own", "LAB_LEFTOVERS=true", "LAB_DATABASE=true", "LAB_WORKERS=1", "RAILS_MAX_THREADS=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return &leaver{t: t, world: w}
}

const leftovers = `{"channel":"LeftoversChannel"}`

func (l *leaver) play() []finding {
	l.web("before all")
	one, other := l.connects("first", ""), l.connects("second", "")
	l.handshake("before all", "second")

	one.performs(`{"action":"leave","name":"command"}`)
	one.hearsMessages(`{"left":true}`)
	l.command("a command after it", one)
	l.command("a command of another after it", other)
	l.web("the web after a command")
	l.connects("third", "")
	l.handshake("after a command", "third")

	l.connects("fourth", "&leave=middleware")
	l.command("a command after middleware", other)
	l.connects("fifth", "")
	l.handshake("after middleware", "fifth")

	if err := l.world.App.Ask("POST /leftovers"); err != nil {
		l.t.Fatal(err)
	}
	l.web("the web after the web")
	l.command("a command after the web", other)
	return l.found
}

func (l *leaver) connects(uid, query string) *ordered {
	l.t.Helper()
	b, err := stage.Dial(l.world.Address, stage.Handshake("GET", "/cable?uid="+uid+query, l.world.Address, nil))
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(b.Close)
	o := &ordered{b, l.t, leftovers}
	o.hears(stage.Welcome)
	b.Send(stage.Command("subscribe", leftovers, nil))
	o.hears(stage.Confirmation(leftovers))
	return o
}

func (l *leaver) command(where string, o *ordered) {
	l.t.Helper()
	o.performs(`{"action":"find"}`)
	e, _ := stage.NextFrame(o.Browser)
	var frame struct{ Message json.RawMessage }
	if err := json.Unmarshal([]byte(e.Text), &frame); err != nil {
		l.t.Fatalf("%s: %s", where, e)
	}
	l.note(where, string(frame.Message))
}

func (l *leaver) web(where string) {
	l.t.Helper()
	text, err := l.world.App.Request("GET", "/leftovers", "")
	if err != nil {
		l.t.Fatal(err)
	}
	l.note(where, text)
}

// handshake notes what the handshake of a user found where it passed.
func (l *leaver) handshake(when, uid string) {
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
	seen := map[string]bool{} // more than once where objects are rebuilt
	for _, e := range events {
		if e.User == uid && e.Found != nil {
			l.note(fmt.Sprintf("%s, %s", e.Event, when), string(e.Found))
			if e.Upgrade != "websocket" {
				l.t.Errorf("the %s sees the header Upgrade as %q", e.Event, e.Upgrade)
			}
			seen[e.Event] = true
		}
	}
	if len(seen) != 3 {
		l.t.Errorf("the handshake of %s was looked at in %v, and not in middleware, log tag and connect", uid, seen)
	}
}

func (l *leaver) note(where, text string) {
	l.t.Helper()
	found := map[string]any{}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		l.t.Fatalf("%s: %v in %s", where, err, text)
	}
	l.found = append(l.found, finding{where, found})
}
