package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// writeCertificate makes a certificate of this serial number for 127.0.0.1.
func writeCertificate(t *testing.T, folder string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{"key.pem": {Type: "PRIVATE KEY", Bytes: private}, "certificate.pem": {Type: "CERTIFICATE", Bytes: certificate}} {
		if err := os.WriteFile(filepath.Join(folder, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEdge_ServesTLSAndTakesANewCertificate(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	writeCertificate(t, folder, 1)
	e := startEdge(t, 1, "  tls:\n    certificate: "+folder+"/certificate.pem\n    key: "+folder+"/key.pem\n")
	trusting := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	serial := func() int64 {
		conn, err := tls.Dial("tcp", e.nodes[0].address, trusting)
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
	ws, _, err := dialer.Dial("wss://"+e.nodes[0].address+"/cable?uid=7", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	say := func(text string) {
		if err := ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(want string) {
		t.Helper()
		for {
			ws.SetReadDeadline(time.Now().Add(patience))
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
	hear(welcome)

	writeCertificate(t, folder, 2)
	for deadline := time.Now().Add(patience); serial() != 2; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the new certificate is not used")
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "key.pem"), []byte("half a fi"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond)
	if n := serial(); n != 2 {
		t.Errorf("with a broken file got certificate %d", n)
	}
	node := e.nodes[0].process
	if err := node.waitFor(patience, func() error { return says(node, "the old one stays") }); err != nil {
		t.Error(err)
	}
	say(`{"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}`) // the old connection lives
	hear(`{"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}`)
}

func TestEdge_LimitsAreAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 1, "  allowed_request_origins: [http://good.example]\n", "--limits-handshakes-per-second-per-address", "1", "--limits-connections-per-address", "3")
	from := func(address, origin string) *browser {
		return e.connect(0, "/cable", "X-Forwarded-For: "+address, "Origin: "+origin)
	}
	if b := from("192.0.2.1", "http://evil.example"); b.response.StatusCode != http.StatusNotFound || b.body != "Page not found" {
		t.Errorf("another origin: got %s %s", b.response.Status, b.body)
	}
	for range 3 {
		e.hears(from("192.0.2.1", "http://good.example"), welcome)
	}
	begin := time.Now()
	for range 30 {
		b := from("192.0.2.1", "http://good.example")
		if b.response.StatusCode != http.StatusTooManyRequests || b.response.Header.Get("Retry-After") == "" {
			t.Errorf("over the limit: got %s", b.response.Status)
		}
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("30 refusals took %v", took)
	}
	e.hears(from("192.0.2.2", "http://good.example"), welcome)
	node, lines := e.nodes[0].process, 0
	if err := node.waitFor(patience, func() error {
		if lines = strings.Count(node.output.String(), "handshakes are turned away"); lines < 2 {
			return fmt.Errorf("%d lines in the log", lines)
		}
		return nil
	}); err != nil || lines > 3 {
		t.Errorf("%d lines in the log: %v\n%s", lines, err, node.output)
	}
}
