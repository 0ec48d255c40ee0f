package cable

import (
	"bufio"
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/protocol"
)

// What comes from outside may be anything. These must return, and hold to what their comments say.

// Of the addresses on the way to us, none that is a proxy's is a browser's; and only a proxy is believed.
func FuzzProxies(f *testing.F) {
	f.Add("10.0.0.1:1", "192.0.2.1, 10.0.0.2", "10.0.0.0/8")
	f.Add("[2001:db8::1%eth0]:1", "[::ffff:10.0.0.1]:80,\t2001:db8::2", "::ffff:10.0.0.0/104")
	f.Add("192.0.2.7:1", "1.2.3.4", "::1")
	f.Add("@", "unknown, _hidden", "x")
	f.Fuzz(func(t *testing.T, peer, forwarded, network string) {
		proxies, err := ParseProxies([]string{network})
		if err != nil {
			proxies = nil
		}
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": strings.Split(forwarded, "\n")}}
		client := proxies.client(r)
		if client.IsValid() && client.Is4() && proxies.trust(client) {
			t.Errorf("%s is a proxy", client)
		}
		alone := Proxies(nil).client(&http.Request{RemoteAddr: peer})
		if len(proxies) == 0 && client != alone {
			t.Errorf("%s is believed about %s, and is no proxy", alone, client)
		}
	})
}

// A pattern is an error or decides; a text lets in itself alone.
func FuzzOrigins(f *testing.F) {
	f.Add("http://a.example", "http://a.example")
	f.Add(`/https?:\/\/.*\.example/`, "https://a.example")
	f.Add("/(?-mix:a)|(?i-mx:b)/i", "B")
	f.Add("/[[:alpha:]&&[a]]\\Q/x", "")
	f.Fuzz(func(t *testing.T, item, origin string) {
		r := httptest.NewRequest("GET", "/cable", nil)
		r.Header.Set("Origin", origin)
		if o, err := ParseOrigins([]string{item}); err == nil && o.allow(r) && len(o.texts) == 1 && item != origin {
			t.Errorf("%q lets in %q", item, origin)
		}
		o, unread := ParseRailsOrigins([]string{item})
		if o.allow(r) && (origin == "" || len(unread) > 0) {
			t.Errorf("%q lets in %q", item, origin)
		}
	})
}

// Only what the secret has signed is obeyed.
func FuzzDismissal(f *testing.F) {
	f.Add([]byte(`{"dismissal":"{\"sub\":\"7\"}","signature":"00"}`))
	f.Add(Dismissal{Subject: "7"}.Sign("another secret"))
	f.Add([]byte(`{"dismissal":{},"signature":null}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		d := dismissals{secret: "the secret"}
		if _, why := d.parse(payload); why == "" {
			t.Errorf("%q is obeyed", payload)
		}
	})
}

// What the app's own Action Cable says of some channels is given to the browser as it is, or not at all.
func FuzzUpstream(f *testing.F) {
	const held = `{"channel":"A"}`
	for _, text := range []string{
		`{"type":"ping","message":1}`, `{"identifier":"{\"channel\":\"A\"}","type":"confirm_subscription"}`,
		`{"identifier":"{\"channel\":\"A\"}","type":"reject_subscription"}`, `{"identifier":"{\"channel\":\"A\"}","message":[1]}`,
		`{"type":"disconnect","reason":"remote","reconnect":true}`, `{"type":["disconnect"],"identifier":7}`, "{", "",
	} {
		f.Add([]byte(text))
	}
	server := quietServer(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var said struct {
			Type       any
			Identifier *string
		}
		readable := json.Unmarshal(text, &said) == nil
		if said.Type == "welcome" {
			t.Skip() // it has the subscriptions repeated, over a WebSocket
		}
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		c := &Connection{server: server, phase: -1, running: true}
		c.socket = socket{Conn: near, fd: -1, corked: true, limit: 1 << 30, owner: c}
		u := newUpstream(c, false)
		c.upstream, u.running = u, true
		c.mu.Lock()
		u.ask(protocol.Command{Kind: protocol.Subscribe, Identifier: held}, []byte("{}"))
		u.subscriptions[held].held = true
		c.mu.Unlock()
		u.take(text)
		c.socket.mu.Lock()
		defer c.socket.mu.Unlock()
		for _, sent := range c.socket.queue {
			if sent[0] == textFrame && !bytes.HasSuffix(sent, text) {
				t.Errorf("%q became %q", text, sent)
			}
		}
		if readable && said.Identifier != nil && *said.Identifier != held && len(c.socket.queue) > 0 {
			t.Errorf("%q was passed on, though the browser has not asked for it", text)
		}
	})
}

// Whatever bytes a browser sends, its messages are UTF-8 and no longer than they may be, and then it ends.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x82\x01\x02\x03\x04\x7a\x7f"), false)
	f.Add([]byte("\x01\x81\x01\x02\x03\x04\x7a\x00\x80\x01\x02\x03\x04\x89\x80\x01\x02\x03\x04\x80\x81\x01\x02\x03\x04\x7c"), false)
	f.Add([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), false)
	f.Add([]byte("\xc1\x83\x00\x00\x00\x00\xaa\x06\x00"), true)
	f.Add([]byte("\x88\x82\x00\x00\x00\x00\x03\xe8"), false)
	server := quietServer(f)
	f.Fuzz(func(t *testing.T, sent []byte, compressed bool) {
		c := &Connection{server: server, phase: -1}
		near, far := net.Pipe()
		defer near.Close()
		go func() { far.Write(sent); far.Close() }()
		c.socket = socket{Conn: near, fd: -1, corked: true, limit: 1 << 30, owner: c}
		c.reader = reader{socket: &c.socket, owner: c}
		lend(&c.reader.buffer, &c.socket)
		defer takeBack(&c.reader.buffer)
		r := httptest.NewRequest("GET", "/cable", nil)
		for name, value := range map[string]string{"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
			r.Header.Set(name, value)
		}
		upgrader := &plain
		if compressed {
			upgrader = &compressing
			r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		}
		c.socket.deflates = compressed
		ws, err := upgrader.Upgrade(&piped{httptest.NewRecorder(), &c.socket, &c.reader.buffer}, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.reader.ws = ws
		ws.SetReadLimit(testLimits.MessageBytes)
		ws.SetCloseHandler(c.answerClose)
		for {
			text, err := c.reader.message()
			if err != nil {
				break
			}
			if int64(len(text)) > testLimits.MessageBytes || !utf8.Valid(text) {
				t.Fatalf("got %d bytes: %q", len(text), text)
			}
		}
	})
}

// quietServer does not run.
func quietServer(f *testing.F) *Server {
	log := slog.New(slog.DiscardHandler)
	server, err := NewServer(Options{Hub: NewHub(newMemory(), log), Limits: testLimits, Log: log})
	if err != nil {
		f.Fatal(err)
	}
	return server
}

// piped is hijacked without a network.
type piped struct {
	http.ResponseWriter
	socket *socket
	buffer *bufio.Reader
}

func (p *piped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return p.socket, bufio.NewReadWriter(p.buffer, bufio.NewWriterSize(p.socket, 512)), nil
}
