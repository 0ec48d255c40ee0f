package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const identifySettings = "    identify:\n      user: gid://app/User/{sub}\n      tenant: \"{tenant_id}\"\n"

func startIdentified(t *testing.T, nodes int) *edge {
	return startEdgeOn(t, nodes, []string{"LAB_IDENTIFY=user tenant"}, jwtSettings(identifySettings))
}

// comes opens a connection as a user of the tenant acme.
func (e *edge) comes(user string, claims jwt.MapClaims) *browser {
	e.Helper()
	all := jwt.MapClaims{"sub": user, "tenant_id": "acme"}
	for name, value := range claims {
		all[name] = value
	}
	b := e.connect(0, "/cable?token="+signToken(all))
	e.hears(b, welcome)
	return b
}

// tells sends a command about a channel.
func (e *edge) tells(b *browser, command, identifier string, data ...any) {
	e.Helper()
	text := map[string]string{"command": command, "identifier": identifier}
	if len(data) > 0 {
		encoded, _ := json.Marshal(data[0])
		text["data"] = string(encoded)
	}
	encoded, _ := json.Marshal(text)
	if err := b.send(string(encoded)); err != nil {
		e.Fatal(err)
	}
}

func (e *edge) subscribes(b *browser, identifier string) {
	e.Helper()
	e.tells(b, "subscribe", identifier)
	e.hears(b, about(identifier, `"type":"confirm_subscription"`))
}

func about(identifier, rest string) string {
	quoted, _ := json.Marshal(identifier)
	return `{"identifier":` + string(quoted) + "," + rest + "}"
}

func TestIdentify_AStormCostsRailsNothing(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 0)
	calls, counted := countCalls(t, e.app)
	e.start(counted)
	storm := make([]*browser, 200)
	for i := range storm {
		storm[i] = e.comes(fmt.Sprint(i), nil)
	}
	for _, b := range storm[1:] {
		b.close()
	}
	e.connect(0, "/cable?token="+signToken(jwt.MapClaims{"sub": "7"})) // no tenant_id
	e.app.ask(`POST /disconnect {"uid":"0","tenant":"acme"}`)
	e.hears(storm[0], `{"type":"disconnect","reason":"remote","reconnect":true}`, "(close 1000)")
	e.hears(e.comes("7", jwt.MapClaims{"exp": time.Now().Unix() + 2}), `{"type":"disconnect","reason":"token_expired","reconnect":true}`, "(close 1000)")
	e.nodes[0].process.stop(t) // and no end to tell
	if n := calls.total(); n != 0 {
		t.Errorf("%d calls to Rails", n)
	}
}

func TestIdentify_ACommandFindsWhatConnectWouldHaveSet(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	b := e.comes("7", nil)
	counter, stream := `{"channel":"CounterChannel","owner":5}`, `{"channel":"StreamChannel","s":["news"]}`
	e.subscribes(b, counter)
	e.tells(b, "message", counter, map[string]any{"action": "increment"})
	e.hears(b, about(counter, `"message":{"count":1,"owner":"5","greeting":"hello acme"}`))
	e.subscribes(b, stream)

	e.app.restart(t)
	e.tells(b, "message", counter, map[string]any{"action": "increment"})
	e.hears(b, about(counter, `"message":{"count":2,"owner":"5","greeting":"hello acme"}`))
	e.app.ask(`POST /broadcast {"stream":"news","message":1}`)
	e.hears(b, about(stream, `"message":1`))
	late := `{"channel":"LateChannel"}`
	e.subscribes(b, late)
	e.tells(b, "message", late, map[string]any{"action": "say", "n": 3, "s": 0.1})
	e.hears(b, about(late, `"message":{"late":3}`))
	timer := `{"channel":"TimerChannel"}`
	e.subscribes(b, timer)
	e.hears(b, about(timer, `"message":{"tick":1}`), about(timer, `"message":{"tick":2}`))
	e.tells(b, "unsubscribe", timer)

	idle := e.comes("7", nil)
	e.app.ask(`POST /disconnect {"uid":"7","tenant":"acme"}`)
	gone := `{"type":"disconnect","reason":"remote","reconnect":true}`
	e.hears(idle, gone, "(close 1000)")
	for f, ok := nextFrame(b, patience); !ok || f.String() != gone; f, ok = nextFrame(b, patience) {
		if !ok || !strings.Contains(f.String(), `"tick"`) {
			t.Fatalf("got %s (%t), not the end", f, ok)
		}
	}
	want := []string{"unsubscribed " + counter, "unsubscribed " + stream, "unsubscribed " + late}
	var got []string
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) && len(got) < len(want) {
		got = nil
		events, err := e.app.events("7", false)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			switch {
			case event == "connect" || event == "disconnect":
				t.Fatalf("%s has run", event)
			case strings.HasPrefix(event, "unsubscribed") && !strings.Contains(event, "Timer"):
				got = append(got, event)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !slices.Equal(got, want) {
		t.Errorf("of the end ran %q, not %q", got, want)
	}
}

func TestIdentify_WhoDoesNotExistIsUnauthorized(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	b := e.comes("nobody", nil)
	e.tells(b, "subscribe", `{"channel":"EchoChannel"}`)
	e.hears(b, unauthorized, "(close 1000)")
}

func TestIdentify_OriginsAreThoseOfRails(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	token := signToken(jwt.MapClaims{"sub": "7", "tenant_id": "acme"})
	for origin, want := range map[string]int{"http://evil.example": 404, "(none)": 404, "http://" + e.nodes[0].address: 101} {
		if b := e.connect(0, "/cable?token="+token, "Origin: "+origin); b.response.StatusCode != want {
			t.Errorf("from %s: %s", origin, b.response.Status)
		}
	}
}

// The app has a say of its own: without config.catenary.identify nothing in its process takes an identity from a call.
func TestIdentify_TheAppMustAllowIt(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	b := e.comes("7", nil)
	e.app.env = slices.DeleteFunc(e.app.env, func(one string) bool { return strings.HasPrefix(one, "LAB_IDENTIFY") })
	e.app.restart(t)
	e.tells(b, "subscribe", `{"channel":"EchoChannel"}`)
	e.hears(b, `{"type":"disconnect","reason":"server_restart","reconnect":true}`, "(close 1000)")
	const refused = "[catenary] a call wants to set tenant, user of a connection: config.catenary.identify does not allow it"
	if err := e.app.process.waitFor(patience, func() error { return says(e.app.process, refused) }); err != nil {
		t.Error(err)
	}
	const message = "jwt.identify: the app does not let catenary set user: write config.catenary.identify = %i[user tenant] in config/application.rb"
	c := e.nodes[0]
	if err := c.process.waitFor(15*time.Second, func() error { return says(c.process, message) }); err != nil {
		t.Fatal(err)
	}
	if err := c.ready(); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("readiness: %v", err)
	}
	if b := e.connect(0, "/cable?token="+signToken(jwt.MapClaims{"sub": "7", "tenant_id": "acme"})); b.response.StatusCode != 503 {
		t.Errorf("a browser is answered %s", b.response.Status)
	}
}
