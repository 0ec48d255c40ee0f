package main

import (
	"crypto/tls"
	"fmt"
	"testing"

	"github.com/gorilla/websocket"
)

// TestFault_ABrowserThatHasVanishedIsMissedOverTLSToo: a laptop is closed, and nothing comes from it any more, not even TCP's
// acknowledgements.
func TestFault_ABrowserThatHasVanishedIsMissedOverTLSToo(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeCertificate(t, folder, 1)
	e := startEdge(t, 1, fmt.Sprintf("  ping:\n    timeout: 2s\n  tls:\n    certificate: %s/certificate.pem\n    key: %s/key.pem\n", folder, folder))
	p := startProxy(t, e.nodes[0].address)
	dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("wss://"+p.address+"/cable?uid=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if _, text, err := ws.ReadMessage(); err != nil || string(text) != welcome {
		t.Fatalf("got %s %v", text, err)
	}
	p.lose(there | back)
	var events []string
	gone := await(func() bool {
		events, err = e.app.events("7", false)
		return err != nil || count(events, "disconnect") == 1
	})
	if !gone || err != nil {
		t.Fatalf("%v %v after %v", events, err, faultPatience)
	}
}
