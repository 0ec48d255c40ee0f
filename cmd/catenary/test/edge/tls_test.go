package edge

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/gorilla/websocket"
)

func TestEdge_ServesTLSAndReloadsCertificates(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	stage.WriteCertificate(t, folder, 1)
	e := stage.StartEdge(t, 1, "  tls:\n    certificate: "+folder+"/certificate.pem\n    key: "+folder+"/key.pem\n")
	trusting := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	serial := func() int64 {
		conn, err := tls.Dial("tcp", e.Nodes[0].Address, trusting)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if protocol := conn.ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
			t.Errorf("negotiated %q", protocol)
		}
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if n := serial(); n != 1 {
		t.Errorf("got certificate %d", n)
	}
	dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json"}, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	ws, _, err := dialer.Dial("wss://"+e.Nodes[0].Address+"/cable?uid=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	send := func(text string) {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(want string) {
		t.Helper()
		for {
			ws.SetReadDeadline(time.Now().Add(stage.Patience))
			_, text, err := ws.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), `{"type":"ping"`) {
				if string(text) != want {
					t.Fatalf("got %s, want %s", text, want)
				}
				return
			}
		}
	}
	expect(stage.Welcome)

	stage.WriteCertificate(t, folder, 2)
	if !stage.Await(func() bool { return serial() == 2 }) {
		t.Fatal("the new certificate is not used")
	}
	const stays = "keeping the old one"
	node := e.Nodes[0].Process
	before := strings.Count(node.Output.String(), stays) // the certificate and its key were not written at the same time
	if err := os.WriteFile(filepath.Join(folder, "key.pem"), []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	logged := stage.Await(func() bool {
		if n := serial(); n != 2 {
			t.Errorf("with a broken key file, got certificate %d", n)
		}
		return strings.Count(node.Output.String(), stays) > before
	})
	if !logged {
		t.Errorf("the log does not have %q", stays)
	}
	send(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}`) // the connection with the old certificate still works
	expect(`{"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}`)
}

// Rails is frozen meanwhile.
func TestEdge_HandshakesOverALimitAreRejectedWithoutRails(t *testing.T) {
	t.Parallel()
	began := time.Now()
	e := stage.StartEdge(t, 1, "  allowed_request_origins: [http://good.example]\n", "--limits-handshakes-per-second-per-address", "1", "--limits-connections-per-address", "3")
	from := func(address, origin string) *stage.Browser {
		return e.Connect(0, "/cable", "X-Forwarded-For: "+address, "Origin: "+origin)
	}
	if b := from("192.0.2.1", "http://evil.example"); b.Response.StatusCode != http.StatusNotFound || b.Body != "Page not found" {
		t.Errorf("another origin: got %s %s", b.Response.Status, b.Body)
	}
	for range 3 {
		e.Expect(from("192.0.2.1", "http://good.example"), stage.Welcome)
	}
	e.App.Process.Signal(syscall.SIGSTOP)
	for range 30 {
		b := from("192.0.2.1", "http://good.example")
		if b.Response.StatusCode != http.StatusTooManyRequests || b.Response.Header.Get("Retry-After") == "" {
			t.Errorf("over the limit: got %s", b.Response.Status)
		}
	}
	e.App.Process.Signal(syscall.SIGCONT)
	e.Expect(from("192.0.2.2", "http://good.example"), stage.Welcome)
	node, lines := e.Nodes[0].Process, 0
	if err := node.WaitFor(func() error {
		lines = strings.Count(node.Output.String(), "handshakes rejected")
		if lines < 2 {
			return fmt.Errorf("%d lines in the log", lines)
		}
		return nil
	}); err != nil || lines > 3*(1+int(time.Since(began)/time.Minute)) { // one a minute for each limit
		t.Errorf("%d lines in the log: %v\n%s", lines, err, node.Output)
	}
}
