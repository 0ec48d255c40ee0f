package edge

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// signedName returns the identifier of Turbo's channel for a stream that the app has signed.
func signedName(e *stage.Edge, stream string) string {
	e.Helper()
	name, err := e.App.Request("GET", "/signed_name?name="+stream, "")
	if err != nil {
		e.Fatal(err)
	}
	identifier, _ := json.Marshal(map[string]string{"channel": "Turbo::StreamsChannel", "signed_stream_name": name})
	return string(identifier)
}

func TestTurboVerified_MakesNoCall(t *testing.T) {
	t.Parallel()
	e := stage.StartEdgeOn(t, 0, []string{"LAB_TURBO=original", "LAB_LIVE_LIMIT=0", "LAB_DISABLE_FORGERY_PROTECTION=true"}, "  turbo:\n    verify_streams: true\n")
	calls, counted := stage.CountCalls(t, e.App)
	e.AddNode(counted)
	b := e.Connect(0, "/cable?uid=7")
	e.Expect(b, stage.Welcome)
	news := signedName(e, "news")
	forged := strings.Replace(news, "--", "--0", 1)

	before := calls.Total()
	e.Subscribe(b, news)
	e.SendCommand(b, "subscribe", news)
	e.SendCommand(b, "message", news, map[string]string{"action": "subscribed"})
	e.SendCommand(b, "subscribe", forged)
	e.Expect(b, stage.About(forged, `"type":"reject_subscription"`))
	e.Broadcast("news", "1")
	e.Expect(b, stage.About(news, `"message":"1"`))
	e.SendCommand(b, "unsubscribe", news)
	e.SendCommand(b, "unsubscribe", news)
	e.SendCommand(b, "message", news, map[string]string{"action": "subscribed"})
	e.Subscribe(b, signedName(e, "other")) // the commands before it have been handled then
	e.Broadcast("news", "2")
	e.Subscribe(b, news)
	e.Broadcast("news", "3")
	e.Expect(b, stage.About(news, `"message":"3"`))
	if n := calls.Total() - before; n != 0 {
		t.Errorf("%d calls went to Rails", n)
	}

	// Calls carry all subscriptions that Rails must rebuild, but not those of Turbo's verified
	// streams.
	siblings := `{"channel":"SiblingsChannel"}`
	e.Subscribe(b, siblings)
	e.SendCommand(b, "message", siblings, map[string]string{"action": "list"})
	quoted, _ := json.Marshal([]string{siblings})
	e.Expect(b, stage.About(siblings, `"message":{"siblings":`+string(quoted)+`}`))
	e.Broadcast("other", "4")
	e.Expect(b, stage.About(signedName(e, "other"), `"message":"4"`))

	e.Disconnect("--identifier", "gid://app/User/7")
	e.Expect(b, `{"type":"disconnect","reason":"remote","reconnect":true}`, "(close 1000)")
	if err := e.App.AwaitEvents("7", stage.Events, []string{"connect", "subscribed " + siblings, "unsubscribed " + siblings, "disconnect"}); err != nil {
		t.Error(err)
	}
}

// An app that authorizes in Turbo's channel is safe even if it leaves the setting on.
func TestTurboVerified_IsOffIfTheAppChangesTurbosChannel(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, "  turbo:\n    verify_streams: true\n")
	b := e.Connect(0, "/cable?uid=7")
	e.Expect(b, stage.Welcome)
	news := signedName(e, "news")
	e.Subscribe(b, news)
	if err := e.App.AwaitEvents("7", stage.Events, []string{"connect", "subscribed " + news}); err != nil {
		t.Error(err)
	}
	err := e.Nodes[0].Process.WaitFor(func() error {
		return stage.Wrote(e.Nodes[0].Process, `turbo.verify_streams has no effect, Rails verifies Turbo's streams" reason="the application changes Turbo::StreamsChannel in `)
	})
	if err != nil {
		t.Error(err)
	}
	const changed = "[catenary] the application changes Turbo::StreamsChannel in "
	if err := e.App.Process.WaitFor(func() error { return stage.Wrote(e.App.Process, changed) }); err != nil {
		t.Error(err)
	}
}
