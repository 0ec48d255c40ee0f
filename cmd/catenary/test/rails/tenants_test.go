package rails

import (
	"fmt"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const (
	member        = `{"channel":"MemberChannel","colleague":8}`
	whoAnswer     = `{"user":"7 of acme","colleague":"8 of acme","tenant":"acme"}`
	serverRestart = `{"type":"disconnect","reason":"server_restart","reconnect":true}`
)

// A tenantBrowser belongs to a tenant, which callbacks of the app's connection switch to.
type tenantBrowser struct {
	*stage.Browser
	t *testing.T
	w *stage.World
}

// connectAndSubscribe connects to a new server and subscribes to a channel.
func connectAndSubscribe(t *testing.T, server, query, identifier string) tenantBrowser {
	t.Helper()
	w, err := stage.StartWorld(server, "own")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return connectAndSubscribeTo(t, w, query, identifier)
}

func connectAndSubscribeTo(t *testing.T, w *stage.World, query, identifier string) tenantBrowser {
	t.Helper()
	b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable?"+query, w.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	one := tenantBrowser{b, t, w}
	one.expect(stage.Welcome)
	b.Send(stage.Command("subscribe", identifier, nil))
	one.expect(stage.Confirmation(identifier))
	return one
}

// asMemberOf returns the query of a tenant's member. Before Rails 7.1 there is no callback around
// commands, only an overridden method of Rails.
func asMemberOf(tenant string) string { return asMember("7", tenant) }

func asMember(uid, tenant string) string {
	query := "uid=" + uid + "&tenant=" + tenant + "&mode=member&switch="
	if around := (stage.Condition{Operator: ">=", Version: 7.1}); around.Holds(stage.RailsVersion()) {
		return query + "command"
	}
	return query + "dispatch"
}

func (b tenantBrowser) expect(want string) {
	b.t.Helper()
	if e, ok := stage.NextFrame(b.Browser); !ok || e.Text != want {
		b.t.Fatalf("got %s, want %s", e, want)
	}
}

// performAndExpect performs an action and expects this frame.
func (b tenantBrowser) performAndExpect(identifier, action, want string) {
	b.t.Helper()
	b.Send(stage.Command("message", identifier, `{"action":"`+action+`"}`))
	b.expect(want)
}

// expectLost expects the connection to close for a reason that catenary logs, and no error in the
// app's log.
func (b tenantBrowser) expectLost(reason string) {
	b.t.Helper()
	if e, ok := b.Next(); !ok || !strings.HasPrefix(e.String(), "(close") {
		b.t.Errorf("got %s after the disconnect", e)
	}
	if err := b.w.Catenary.Process.WaitFor(func() error { return stage.Wrote(b.w.Catenary.Process, reason) }); err != nil {
		b.t.Error(err)
	}
	for line := range strings.Lines(b.w.App.Process.Output.String()) {
		if strings.Contains(line, "There was an exception") || strings.Contains(line, "Could not") || strings.Contains(line, "a call failed") {
			b.t.Errorf("the app logs %s", line)
		}
	}
}

// Another tenant has records with the same ids.
func TestState_IsRestoredWithinItsTenant(t *testing.T) {
	t.Parallel()
	b := connectAndSubscribe(t, "catenary", asMemberOf("acme"), member)
	b.performAndExpect(member, "who", stage.MessageFor(member, whoAnswer))
	b.w.App.Restart(t)
	b.performAndExpect(member, "who", stage.MessageFor(member, whoAnswer))
}

// Rails keeps the record in memory as long as the connection lives. When objects are rebuilt, the
// record must be looked up: the browser reconnects, and the app decides again.
func TestState_ADeletedRecordEndsOnlyARebuiltConnection(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"rails", "catenary", "rebuilt"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w, err := stage.StartWorld(server, "own")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			for _, deleted := range []struct{ user, colleague, id, name string }{{"7", "8", "7", "@user"}, {"17", "18", "18", "@colleague"}} {
				t.Run(deleted.name, func(t *testing.T) {
					identifier := `{"channel":"MemberChannel","colleague":` + deleted.colleague + `}`
					want := stage.MessageFor(identifier, fmt.Sprintf(`{"user":"%s of acme","colleague":"%s of acme","tenant":"acme"}`, deleted.user, deleted.colleague))
					if server == "rebuilt" {
						want = serverRestart
					}
					b := connectAndSubscribeTo(t, w, asMember(deleted.user, "acme"), identifier)
					if err := w.App.Ask(`POST /dismiss {"id":` + deleted.id + `}`); err != nil {
						t.Fatal(err)
					}
					b.performAndExpect(identifier, "who", want)
					if server == "rebuilt" {
						b.expectLost(deleted.name + " is lost")
					}
				})
			}
		})
	}
}

// After a restart the browser must reconnect, and the app's callbacks run.
func TestState_AnIdentifierThatCannotBeKeptEndsTheConnectionAtARestart(t *testing.T) {
	t.Parallel()
	b := connectAndSubscribe(t, "catenary", "mode=lock", echo)
	b.performAndExpect(echo, "nul", stage.MessageFor(echo, "null"))
	b.w.App.Restart(t)
	b.performAndExpect(echo, "nul", serverRestart)
	b.expectLost("@user is lost: it cannot be serialized")
	if err := b.w.App.AwaitEvents("", stage.Events, []string{"unsubscribed " + echo, "disconnect"}); err != nil {
		t.Error(err)
	}
}
