package edge

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/golang-jwt/jwt/v5"
)

// startIdentified starts nodes whose tokens identify connections in place of connect.
func startIdentified(t *testing.T, nodes int) *stage.Edge {
	return stage.StartEdgeOn(t, nodes, []string{"LAB_IDENTIFY=user tenant"}, stage.JWTSettings(stage.IdentifySettings))
}

func TestIdentify_AStormOfConnectionsMakesNoCall(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 0)
	calls, counted := stage.CountCalls(t, e.App)
	e.AddNode(counted)
	storm := make([]*stage.Browser, 200)
	for i := range storm {
		storm[i] = e.ConnectAs(fmt.Sprint(i), nil)
	}
	for _, b := range storm[1:] {
		b.Close()
	}
	e.Connect(0, "/cable?token="+stage.SignToken(jwt.MapClaims{"sub": "7"})) // no tenant_id
	e.App.Ask(`POST /disconnect {"uid":"0","tenant":"acme"}`)
	e.Expect(storm[0], `{"type":"disconnect","reason":"remote","reconnect":true}`, "(close 1000)")
	e.Expect(e.ConnectAs("7", jwt.MapClaims{"exp": time.Now().Unix() + 5}), `{"type":"disconnect","reason":"token_expired","reconnect":true}`, "(close 1000)")
	e.Nodes[0].Process.Stop(t) // without any disconnect callback to run
	if n := calls.Total(); n != 0 {
		t.Errorf("%d calls went to Rails", n)
	}
}

func TestIdentify_CommandsFindWhatConnectWouldHaveSet(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	b := e.ConnectAs("7", nil)
	counter, stream := `{"channel":"CounterChannel","owner":5}`, `{"channel":"StreamChannel","s":["news"]}`
	e.Subscribe(b, counter)
	e.SendCommand(b, "message", counter, map[string]any{"action": "increment"})
	e.Expect(b, stage.About(counter, `"message":{"count":1,"owner":"5","greeting":"hello acme"}`))
	e.Subscribe(b, stream)

	e.App.Restart(t)
	e.SendCommand(b, "message", counter, map[string]any{"action": "increment"})
	e.Expect(b, stage.About(counter, `"message":{"count":2,"owner":"5","greeting":"hello acme"}`))
	e.App.Ask(`POST /broadcast {"stream":"news","message":1}`)
	e.Expect(b, stage.About(stream, `"message":1`))
	late := `{"channel":"LateChannel"}`
	e.Subscribe(b, late)
	e.SendCommand(b, "message", late, map[string]any{"action": "say", "n": 3, "s": 0.1})
	e.Expect(b, stage.About(late, `"message":{"late":3}`))
	timer := `{"channel":"TimerChannel"}`
	e.Subscribe(b, timer)
	e.Expect(b, stage.About(timer, `"message":{"tick":1}`), stage.About(timer, `"message":{"tick":2}`))
	e.SendCommand(b, "unsubscribe", timer)

	idle := e.ConnectAs("7", nil)
	e.App.Ask(`POST /disconnect {"uid":"7","tenant":"acme"}`)
	gone := `{"type":"disconnect","reason":"remote","reconnect":true}`
	e.Expect(idle, gone, "(close 1000)")
	for f, ok := stage.NextFrame(b); !ok || f.String() != gone; f, ok = stage.NextFrame(b) {
		if !ok || !strings.Contains(f.String(), `"tick"`) {
			t.Fatalf("got %s (%t), want the disconnect", f, ok)
		}
	}
	want := []string{"unsubscribed " + counter, "unsubscribed " + stream, "unsubscribed " + late}
	var got []string
	stage.Await(func() bool {
		got = nil
		events, err := e.App.Events("7", stage.Events)
		if err != nil {
			t.Fatal(err)
		}
		for _, event := range events {
			switch {
			case event == "connect" || event == "disconnect":
				t.Fatalf("%s ran", event)
			case strings.HasPrefix(event, "unsubscribed") && !strings.Contains(event, "Timer"):
				got = append(got, event)
			}
		}
		return len(got) >= len(want)
	})
	if !slices.Equal(got, want) {
		t.Errorf("at the disconnect %q ran, want %q", got, want)
	}
}

func TestIdentify_AnUnknownUserIsUnauthorized(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	b := e.ConnectAs("nobody", nil)
	e.SendCommand(b, "subscribe", `{"channel":"EchoChannel"}`)
	e.Expect(b, stage.Unauthorized, "(close 1000)")
}

func TestIdentify_OriginsAreCheckedAsInRails(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	token := stage.SignToken(jwt.MapClaims{"sub": "7", "tenant_id": "acme"})
	for origin, want := range map[string]int{"http://evil.example": 404, "(none)": 404, "http://" + e.Nodes[0].Address: 101} {
		if b := e.Connect(0, "/cable?token="+token, "Origin: "+origin); b.Response.StatusCode != want {
			t.Errorf("origin %s: %s", origin, b.Response.Status)
		}
	}
}

// Without config.catenary.identify no Rails process accepts an identity from a call.
func TestIdentify_TheAppMustAllowIt(t *testing.T) {
	t.Parallel()
	e := startIdentified(t, 1)
	b := e.ConnectAs("7", nil)
	e.App.Env = slices.DeleteFunc(e.App.Env, func(one string) bool { return strings.HasPrefix(one, "LAB_IDENTIFY") })
	e.App.Restart(t)
	e.SendCommand(b, "subscribe", `{"channel":"EchoChannel"}`)
	e.Expect(b, `{"type":"disconnect","reason":"server_restart","reconnect":true}`, "(close 1000)")
	const refused = "[catenary] a call must not set tenant, user of a connection: config.catenary.identify does not allow it"
	if err := e.App.Process.WaitFor(func() error { return stage.Wrote(e.App.Process, refused) }); err != nil {
		t.Error(err)
	}
	const message = "jwt.identify: the app does not let catenary set user: write config.catenary.identify = %i[user tenant] in config/application.rb"
	c := e.Nodes[0]
	if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, message) }); err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(); err == nil || !strings.Contains(err.Error(), message) {
		t.Errorf("readiness: %v", err)
	}
	if b := e.Connect(0, "/cable?token="+stage.SignToken(jwt.MapClaims{"sub": "7", "tenant_id": "acme"})); b.Response.StatusCode != 503 {
		t.Errorf("a handshake was answered with %s", b.Response.Status)
	}
}
