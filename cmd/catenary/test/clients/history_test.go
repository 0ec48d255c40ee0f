package clients

import (
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// @anycable/core asks for what it has missed, on a node other than the one that it has left.
func TestHistory_AnycableClientMissesNothing(t *testing.T) {
	t.Parallel()
	const limit = 250
	env := []string{"LAB_DISABLE_FORGERY_PROTECTION=true", fmt.Sprintf(`LAB_HISTORY={"chat:*":{"limit":%d}}`, limit)}
	e := stage.StartEdgeOn(t, 2, env, "  log:\n    level: debug\n")
	client := stage.StartNode(t, "history.mjs", e.Nodes[0].Address, e.App.URL(), e.Nodes[1].Address,
		fmt.Sprint(e.Nodes[0].Process.Command.Process.Pid), fmt.Sprint(limit))
	stage.MustSucceed(t, client)
	t.Log("\n" + client.Output.Tail())
}

// Only Rails' redis adapter can keep a history.
func TestHistory_IsRefusedWithAnotherAdapter(t *testing.T) {
	t.Parallel()
	w, err := startWithoutRedis(t, `LAB_HISTORY={"chat:*":{}}`)
	t.Cleanup(w.Close)
	if err != nil {
		t.Fatal(err)
	}
	const refusal = `config.catenary.history has no effect" reason="the adapter in config/cable.yml is not redis"`
	if err := w.Catenary.Process.WaitFor(func() error { return stage.Wrote(w.Catenary.Process, refusal) }); err != nil {
		t.Fatal(err)
	}
	const chat = `{"channel":"StreamChannel","s":"chat:1"}`
	c := stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}
	b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, []string{"Sec-WebSocket-Protocol: actioncable-v1-ext-json"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	c.Browsers[""] = b
	c.MustPlay(t, "server> 101", "server> Sec-WebSocket-Protocol: actioncable-v1-ext-json", `server> {"type":"welcome"}`,
		`browser> {"command":"subscribe","identifier":`+stage.Quoted(chat)+`,"history":{"since":1795451915}}`,
		"server> "+stage.Confirmation(chat), `server> {"identifier":`+stage.Quoted(chat)+`,"type":"reject_history"}`)
}
