package rails

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const (
	member    = `{"channel":"MemberChannel","colleague":8}`
	who       = `{"user":"7 of acme","colleague":"8 of acme","tenant":"acme"}`
	comesBack = `{"type":"disconnect","reason":"server_restart","reconnect":true}`
)

// A tenantBrowser belongs to a tenant that callbacks of the app's connection switch to.
type tenantBrowser struct {
	*stage.Browser
	t *testing.T
	w *stage.World
}

// subscribed opens a connection and subscribes to a channel.
func subscribed(t *testing.T, server, query, identifier string) tenantBrowser {
	t.Helper()
	w, err := stage.StartWorld(server, "own")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
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

// asMemberOf is the query of a member of a tenant. Until Rails 7.1 nothing surrounds commands but an overridden method of Rails' own.
func asMemberOf(tenant string) string {
	if around := (stage.Condition{Operator: ">=", Version: 7.1}); around.Holds(stage.RailsVersion()) {
		return "uid=7&tenant=" + tenant + "&mode=member&switch=command"
	}
	return "uid=7&tenant=" + tenant + "&mode=member&switch=dispatch"
}

func (b tenantBrowser) expect(want string) {
	b.t.Helper()
	if e, ok := stage.NextFrame(b.Browser); !ok || e.Text != want {
		b.t.Fatalf("got %s and not %s", e, want)
	}
}

// asks performs an action, to which this is the answer.
func (b tenantBrowser) asks(identifier, action, want string) {
	b.t.Helper()
	b.Send(stage.Command("message", identifier, `{"action":"`+action+`"}`))
	b.expect(want)
}

// isLost: the browser is told to come back, and the app has seen no error of its own.
func (b tenantBrowser) isLost(why string) {
	b.t.Helper()
	if e, ok := b.Next(); !ok || !strings.HasPrefix(e.String(), "(close") {
		b.t.Errorf("got %s after the disconnect", e)
	}
	if err := b.w.Catenary.Process.WaitFor(func() error { return stage.Says(b.w.Catenary.Process, why) }); err != nil {
		b.t.Error(err)
	}
	for line := range strings.Lines(b.w.App.Process.Output.String()) {
		if strings.Contains(line, "There was an exception") || strings.Contains(line, "Could not") || strings.Contains(line, "a call failed") {
			b.t.Errorf("the app logs %s", line)
		}
	}
}

// TestState_IsOfTheTenantAfterARestartOfRails: not of another one that has the same ids.
func TestState_IsOfTheTenantAfterARestartOfRails(t *testing.T) {
	t.Parallel()
	b := subscribed(t, "catenary", asMemberOf("acme"), member)
	b.asks(member, "who", stage.MessageFor(member, who))
	b.w.App.Restart(t)
	b.asks(member, "who", stage.MessageFor(member, who))
}

// TestState_OfARecordThatIsGone: Rails has it in memory as long as the connection lasts. Who has to look it up has the browser
// reconnect, and so Rails asks the database again.
func TestState_OfARecordThatIsGone(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"rails":    stage.MessageFor(member, who),
		"catenary": stage.MessageFor(member, who),
		"rebuilt":  comesBack,
	} {
		for id, name := range map[string]string{"7": "@user", "8": "@colleague"} {
			t.Run(server+" "+name, func(t *testing.T) {
				t.Parallel()
				b := subscribed(t, server, asMemberOf("acme"), member)
				if err := b.w.App.Ask(`POST /dismiss {"id":` + id + `}`); err != nil {
					t.Fatal(err)
				}
				b.asks(member, "who", want)
				if server == "rebuilt" {
					b.isLost(name + " is lost")
				}
			})
		}
	}
}

// TestState_OfAnIdentifierThatCannotBeKept: after a restart the browser is told to come back, and the app's callbacks run.
func TestState_OfAnIdentifierThatCannotBeKept(t *testing.T) {
	t.Parallel()
	b := subscribed(t, "catenary", "mode=lock", echo)
	b.asks(echo, "nul", stage.MessageFor(echo, "null"))
	b.w.App.Restart(t)
	b.asks(echo, "nul", comesBack)
	b.isLost("@user is lost: it cannot be serialized")
	if err := b.w.App.AwaitEvents("", stage.Events, []string{"unsubscribed " + echo, "disconnect"}); err != nil {
		t.Error(err)
	}
}
