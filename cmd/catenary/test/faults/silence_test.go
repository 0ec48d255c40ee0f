package faults

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/gorilla/websocket"
)

// A laptop is closed: nothing comes from it, not even acknowledgements.
func TestFault_ABrowserThatVanishedIsNoticedOverTLSToo(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stage.WriteCertificate(t, folder, 1)
	e := stage.StartEdge(t, 1, fmt.Sprintf("  ping:\n    timeout: 2s\n  tls:\n    certificate: %s/certificate.pem\n    key: %s/key.pem\n", folder, folder))
	p := stage.StartProxy(t, e.Nodes[0].Address)
	dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("wss://"+p.Address+"/cable?uid=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if _, text, err := ws.ReadMessage(); err != nil || string(text) != stage.Welcome {
		t.Fatalf("got %s %v", text, err)
	}
	p.Lose(stage.ToTarget | stage.ToClient)
	var events []string
	gone := stage.Await(func() bool {
		events, err = e.App.Events("7", stage.Events)
		return err != nil || count(events, "disconnect") == 1
	})
	if !gone || err != nil {
		t.Fatalf("%v %v after %v", events, err, stage.Patience)
	}
}
