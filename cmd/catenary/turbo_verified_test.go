package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func (e *edge) signedName(stream string) string {
	e.Helper()
	name, err := e.app.request("GET", "/signed_name?name="+stream, "")
	if err != nil {
		e.Fatal(err)
	}
	identifier, _ := json.Marshal(map[string]string{"channel": "Turbo::StreamsChannel", "signed_stream_name": name})
	return string(identifier)
}

func (e *edge) broadcasts(stream, message string) {
	e.Helper()
	if err := e.app.ask(`POST /broadcast {"stream":"` + stream + `","message":"` + message + `"}`); err != nil {
		e.Fatal(err)
	}
}

func TestTurboVerified_RailsKnowsNothingOfIt(t *testing.T) {
	t.Parallel()
	e := startEdgeOn(t, 0, []string{"LAB_TURBO=original", "LAB_LIVE_LIMIT=0", "LAB_DISABLE_FORGERY_PROTECTION=true"}, "  turbo:\n    verify_streams: true\n")
	calls, counted := countCalls(t, e.app)
	e.start(counted)
	b := e.connect(0, "/cable?uid=7")
	e.hears(b, welcome)
	news := e.signedName("news")
	forged := strings.Replace(news, "--", "--0", 1)

	before := calls.total()
	e.subscribes(b, news)
	e.tells(b, "subscribe", news)
	e.tells(b, "message", news, map[string]string{"action": "subscribed"})
	e.tells(b, "subscribe", forged)
	e.hears(b, about(forged, `"type":"reject_subscription"`))
	e.broadcasts("news", "1")
	e.hears(b, about(news, `"message":"1"`))
	e.tells(b, "unsubscribe", news)
	e.tells(b, "unsubscribe", news)
	e.tells(b, "message", news, map[string]string{"action": "subscribed"})
	e.subscribes(b, e.signedName("other")) // so what came before is done
	e.broadcasts("news", "2")
	e.subscribes(b, news)
	e.broadcasts("news", "3")
	e.hears(b, about(news, `"message":"3"`))
	if n := calls.total() - before; n != 0 {
		t.Errorf("%d calls to Rails", n)
	}

	// Calls carry all that Rails must rebuild, and no stream of Turbo's is among it.
	siblings := `{"channel":"SiblingsChannel"}`
	e.subscribes(b, siblings)
	e.tells(b, "message", siblings, map[string]string{"action": "list"})
	quoted, _ := json.Marshal([]string{siblings})
	e.hears(b, about(siblings, `"message":{"siblings":`+string(quoted)+`}`))
	e.broadcasts("other", "4")
	e.hears(b, about(e.signedName("other"), `"message":"4"`))

	e.run("--identifier", "gid://app/User/7")
	e.hears(b, `{"type":"disconnect","reason":"remote","reconnect":true}`, "(close 1000)")
	if err := e.app.awaitEvents("7", false, []string{"connect", "subscribed " + siblings, "unsubscribed " + siblings, "disconnect"}); err != nil {
		t.Error(err)
	}
}

// Who adds an authorization to Turbo's channel, and forgets the setting, is safe.
func TestTurboVerified_NotIfTheAppHasAChannelOfItsOwn(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 1, "  turbo:\n    verify_streams: true\n")
	b := e.connect(0, "/cable?uid=7")
	e.hears(b, welcome)
	news := e.signedName("news")
	e.subscribes(b, news)
	if err := e.app.awaitEvents("7", false, []string{"connect", "subscribed " + news}); err != nil {
		t.Error(err)
	}
	err := e.nodes[0].process.waitFor(15*time.Second, func() error {
		return says(e.nodes[0].process, `turbo.verify_streams has no effect: Rails answers for Turbo's streams" why="the application changes Turbo::StreamsChannel in `)
	})
	if err != nil {
		t.Error(err)
	}
	const changed = "[catenary] the application changes Turbo::StreamsChannel in "
	if err := e.app.process.waitFor(patience, func() error { return says(e.app.process, changed) }); err != nil {
		t.Error(err)
	}
}
