package cable

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/gorilla/websocket"
)

// puma is the app's own Action Cable in a few lines of Go. It confirms or rejects
// subscriptions and echoes messages. The tests in cmd/catenary use the real one.
type puma struct {
	*httptest.Server

	mu       sync.Mutex
	requests []*http.Request
	received []string
	open     []*websocket.Conn
	refuse   int // status with which to reject handshakes; 0: accept
	mute     bool
}

func newPuma(t *testing.T) *puma {
	p := &puma{}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() { p.lose(); p.Close() })
	return p
}

func (p *puma) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.requests = append(p.requests, r)
	refuse := p.refuse
	p.mu.Unlock()
	if refuse != 0 {
		w.Header().Set("X-Why", "so")
		http.Error(w, "refused", refuse)
		return
	}
	upgrader := websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }, Subprotocols: []string{"actioncable-v1-json"}}
	ws, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	p.mu.Lock()
	p.open = append(p.open, ws)
	ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"welcome"}`))
	ws.WriteMessage(websocket.TextMessage, []byte(`{"type":"ping","message":1}`))
	p.mu.Unlock()
	for {
		_, text, err := ws.ReadMessage()
		if err != nil {
			return
		}
		var f struct{ Command, Identifier, Data string }
		json.Unmarshal(text, &f)
		identifier, _ := json.Marshal(f.Identifier)
		p.mu.Lock()
		p.received = append(p.received, string(text))
		switch {
		case p.mute:
		case f.Command == "message":
			ws.WriteMessage(websocket.TextMessage, []byte(`{"identifier":`+string(identifier)+`,"message":`+f.Data+`}`))
		case f.Command == "subscribe" && strings.Contains(f.Identifier, "no"):
			ws.WriteMessage(websocket.TextMessage, []byte(`{"identifier":`+string(identifier)+`,"type":"reject_subscription"}`))
		case f.Command == "subscribe":
			ws.WriteMessage(websocket.TextMessage, []byte(`{"identifier":`+string(identifier)+`,"type":"confirm_subscription"}`))
		}
		p.mu.Unlock()
	}
}

// lose drops every connection without a close frame, like a Puma that is killed.
func (p *puma) lose() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, ws := range p.open {
		ws.NetConn().Close()
	}
	p.open = nil
}

// send sends a message on the newest connection.
func (p *puma) send(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[len(p.open)-1].WriteMessage(websocket.TextMessage, []byte(text))
}

func (p *puma) set(f func()) { p.mu.Lock(); f(); p.mu.Unlock() }

func (p *puma) said(part string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, text := range p.received {
		if strings.Contains(text, part) {
			n++
		}
	}
	return n
}

func (p *puma) dials() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

func passing(t *testing.T, channels ...string) (*world, *puma) {
	p := newPuma(t)
	through, err := relay.New(p.URL, channels...)
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, func(s *setup) { s.relay = through }), p
}

const (
	graph     = `{\"channel\":\"GraphChannel\"}`
	graphNo   = `{\"channel\":\"GraphChannel\",\"no\":1}`
	welcome   = `{"type":"welcome"}`
	reconnect = `{"type":"disconnect","reason":"server_restart","reconnect":true}`
)

func perform(identifier, data string) string {
	return `{"command":"message","identifier":"` + identifier + `","data":"` + data + `"}`
}

func TestPassThrough_SendsOnlyItsChannelsToTheAppsOwnActionCable(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	if p.dials() != 0 {
		t.Fatal("an upstream was opened for another channel")
	}
	for range 3 {
		b.subscribe(graph)
	}
	b.expect(confirmed(graph))
	b.send(perform(graph, "1"))
	b.expect(message(graph, "1"))
	p.send(`{"identifier":"` + graph + `","message":{"a" : [1, 2]}}`)
	p.send(`{"identifier":"another","message":1}`)
	p.send(`{"hello":1}`)
	b.subscribe(graphNo)
	b.expect(`{"identifier":"`+graph+`","message":{"a" : [1, 2]}}`, `{"identifier":"`+graphNo+`","type":"reject_subscription"}`)
	b.subscribe(graphNo)
	b.expect(`{"identifier":"` + graphNo + `","type":"reject_subscription"}`)
	b.send(`{"command":"unsubscribe","identifier":"` + graph + `"}`)
	b.subscribe(graph)
	b.expect(confirmed(graph))
	if p.dials() != 1 || p.said("subscribe") != 5 || frames(w.rails, "Graph") != 0 {
		t.Fatalf("%d upstreams, the app got %q", p.dials(), p.received)
	}
	b.ws.Close()
	w.eventually("the close call is made", func() bool { return len(w.rails.made("close")) == 1 })
}

func TestPassThrough_ResumesItsSubscriptionsWhenTheAppIsRestarted(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	b.subscribe(graph)
	b.expect(confirmed(graph))
	p.set(func() { p.refuse = http.StatusBadGateway }) // a proxy before a Puma that starts
	p.lose()
	w.eventually("the upstream is dialled again", func() bool { return p.dials() > 1 })
	b.send(perform(graph, "1"))
	b.send(perform("echo", "2"))
	b.expect(message("echo", "2")) // the rest of the connection is not affected
	p.set(func() { p.refuse = 0 })
	b.expect(message(graph, "1"))
	p.send(`{"identifier":"` + graph + `","message":3}`)
	b.expect(message(graph, "3"))
	if n := p.said(`"subscribe"`); n != 2 {
		t.Fatalf("%d subscribes", n)
	}
}

func TestPassThrough_SendsMessagesOnlyWhenTheSubscriptionIsConfirmedAgain(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	b := w.welcomed()
	b.subscribe(graph)
	b.expect(confirmed(graph))
	p.set(func() { p.mute = true })
	p.lose()
	w.eventually("the subscribe is sent again", func() bool { return p.said(`"subscribe"`) == 2 })
	b.send(perform(graph, "1"))
	b.subscribe("echo")
	b.expect(confirmed("echo")) // so the message has arrived
	if p.said(`"message"`) != 0 {
		t.Fatal("a message was sent before its subscription was confirmed")
	}
	p.set(func() { p.mute = false })
	p.send(confirmed(graph))
	b.expect(message(graph, "1"))
}

func TestPassThrough_HasTheBrowserReconnectWhenTheAppStaysAway(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	w.server.limits.CallWait = 300 * time.Millisecond
	b := w.welcomed()
	b.subscribe(graph)
	b.expect(confirmed(graph))
	p.set(func() { p.refuse = http.StatusServiceUnavailable })
	p.lose()
	b.expect(reconnect)
	b.expectClose(websocket.CloseNormalClosure)
}

func TestPassThrough_RejectsWhatTheAppDoesNotServe(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	p.refuse = http.StatusNotFound
	b := w.welcomed()
	b.subscribe(graph)
	b.expect(`{"identifier":"` + graph + `","type":"reject_subscription"}`)
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	p.set(func() { p.refuse = 0 })
	b.subscribe(graph)
	b.expect(confirmed(graph))
}

func TestPassThrough_PassesOnTheAppsDisconnect(t *testing.T) {
	for what, end := range map[string]func(p *puma){
		"frame": func(p *puma) { p.send(`{"type":"disconnect","reason":"remote","reconnect":false}`) },
		"close": func(p *puma) {
			p.open[0].WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1000, ""), time.Now().Add(patience.Deadline))
		},
	} {
		t.Run(what, func(t *testing.T) {
			w, p := passing(t, "GraphChannel")
			b := w.welcomed()
			b.subscribe(graph)
			b.expect(confirmed(graph))
			end(p)
			if what == "frame" {
				b.expect(`{"type":"disconnect","reason":"remote","reconnect":false}`)
			}
			b.expectClose(websocket.CloseNormalClosure)
		})
	}
}

func TestPassThrough_PassesOnTheBrowsersHandshake(t *testing.T) {
	w, p := passing(t, relay.All)
	header := http.Header{"Cookie": {"_session=1; user=2"}, "Origin": {"http://shop.example"}, "User-Agent": {"Netscape"}, "Host": {"shop.example:81"}, "X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"https"}}
	dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json", "actioncable-unsupported"}}
	ws, _, err := dialer.Dial(w.url+"?token=a%20b", header)
	if err != nil || ws.Subprotocol() != "actioncable-v1-json" {
		t.Fatal(err)
	}
	defer ws.Close()
	r := p.requests[0]
	if r.RequestURI != "/cable?token=a%20b" || r.Host != "shop.example:81" {
		t.Errorf("asked for %s at %s", r.RequestURI, r.Host)
	}
	header.Del("Host")
	header.Set("X-Forwarded-For", "192.0.2.1, 127.0.0.1")
	header.Set("Sec-Websocket-Protocol", "actioncable-v1-json, actioncable-unsupported")
	for name, want := range header {
		if !slices.Equal(r.Header[name], want) {
			t.Errorf("%s is %q, want %q", name, r.Header[name], want)
		}
	}
}

func TestPassThrough_RelaysAWholeConnectionWithoutTheGem(t *testing.T) {
	w, p := passing(t, relay.All)
	b := w.browser()
	b.expect(welcome)
	b.subscribe(graph)
	b.subscribe(graph) // passed on, although repeated
	b.expect(confirmed(graph), confirmed(graph))
	b.send(`{"what":"ever"}`)
	w.eventually("the app gets a message that is not a command", func() bool { return p.said("what") == 1 })
	p.send(`{"hello":1}`)
	b.expect(`{"hello":1}`)
	p.send(`{"type":"disconnect","reason":"unauthorized","reconnect":false}`)
	p.lose()
	b.expect(`{"type":"disconnect","reason":"unauthorized","reconnect":false}`)
	b.expectClose(websocket.CloseNormalClosure)
	if len(w.rails.made("open"))+len(w.rails.made("close")) != 0 {
		t.Fatal("the gem was called")
	}

	lost := w.browser()
	lost.expect(welcome)
	p.lose()
	lost.expect(reconnect)
	lost.expectClose(websocket.CloseNormalClosure)
}

func TestPassThrough_PassesOnTheAppsRejection(t *testing.T) {
	w, p := passing(t, relay.All)
	for _, status := range []int{http.StatusForbidden, http.StatusOK} {
		p.set(func() { p.refuse = status })
		_, response, err := websocket.DefaultDialer.Dial(w.url, nil)
		if err == nil || response.StatusCode != status || response.Header.Get("X-Why") != "so" {
			t.Fatalf("%v %v", err, response)
		}
		if body, _ := io.ReadAll(response.Body); string(body) != "refused\n" {
			t.Fatalf("body %q", body)
		}
	}
}

func TestPassThrough_SendsMessagesFromBeforeTheBrowserLeft(t *testing.T) {
	w, p := passing(t, relay.All)
	b := w.browser()
	b.expect(welcome)
	// If a browser closes with unread data (the ping after the welcome, or answers), its TCP drops what it has sent.
	if _, text, err := b.ws.ReadMessage(); err != nil || !strings.Contains(string(text), "ping") {
		t.Fatalf("got %s (%v), want a ping", text, err)
	}
	p.set(func() { p.mute = true })
	for range 50 {
		b.send(perform(graph, "1"))
	}
	b.ws.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(1001, ""))
	b.ws.Close()
	w.eventually("the app has got all messages", func() bool { return p.said("message") == 50 })
}

func TestPassThrough_ReachesAnAppOnAUnixSocket(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	path := t.TempDir() + "/puma.sock"
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: p}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	if w.server.relay, err = relay.New("unix:"+path, "GraphChannel"); err != nil {
		t.Fatal(err)
	}
	b := w.welcomed()
	b.subscribe(graph)
	b.expect(confirmed(graph))
}

func TestPassThrough_ThrottlesABrowserThatSendsMoreThanTheAppTakes(t *testing.T) {
	w, p := passing(t, "GraphChannel")
	w.server.limits.Socket.PendingBytes = 2000
	b := w.welcomed()
	b.subscribe(graph)
	b.expect(confirmed(graph))
	p.set(func() { p.refuse = http.StatusBadGateway })
	p.lose()
	w.eventually("the upstream is dialled again", func() bool { return p.dials() > 1 })
	for range 100 {
		b.send(perform(graph, `\"`+strings.Repeat("x", 100)+`\"`))
	}
	w.server.mu.Lock()
	var c *Connection
	for _, c = range w.server.connections {
	}
	w.server.mu.Unlock()
	w.eventually("the queue is full", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.upstream.Queued() > 2000+300 {
			t.Errorf("%d bytes are queued", c.upstream.Queued())
		}
		return c.upstream.Queued() >= 2000
	})
	p.set(func() { p.refuse = 0 })
	for range 100 {
		b.expect(message(graph, `"`+strings.Repeat("x", 100)+`"`))
	}
}
