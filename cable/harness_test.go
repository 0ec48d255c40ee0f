package cable

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/catenary-cable/catenary/rpc/rpctest"
	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// railsCall is a call as it arrives in Rails.
type railsCall = rpctest.Call

// rails is a Rails app in a few lines of Go, which answers calls over a real link.
// The tests in cmd/catenary use a real app.
type rails struct {
	*rpctest.Rails

	mu     sync.Mutex
	answer func(railsCall) map[string]any // if it returns nil, the test answers
	calls  []railsCall
}

func newRails(t *testing.T) *rails {
	r := &rails{answer: behave}
	r.Rails = rpctest.New(t, "x", func(l *rpctest.Link, call rpctest.Call) {
		r.mu.Lock()
		r.calls = append(r.calls, call)
		answer := r.answer
		r.mu.Unlock()
		go func() { // like a Rails worker
			result := answer(call)
			if result == nil {
				return // the test answers
			}
			text, _ := json.Marshal(result)
			l.End(call, string(text))
		}()
	})
	return r
}

// made returns the calls of one kind so far.
func (r *rails) made(do string) (calls []railsCall) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, call := range r.calls {
		if call.Do == do {
			calls = append(calls, call)
		}
	}
	return calls
}

func (r *rails) onCall(answer func(railsCall) map[string]any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// behave is an app whose channels do what their identifiers say: "chat room" streams
// room, "reject …" rejects, "unknown …" does not exist. Actions echo their data.
func behave(call railsCall) map[string]any {
	result := map[string]any{"status": 200, "ver": "1", "state": "s", "kept": true}
	ops, channels := []any{}, map[string]any{}
	switch call.Do {
	case rpc.Open:
		ops = append(ops, []any{"internal", "action_cable/user"}, []any{"welcome"})
	case rpc.Frames:
		for _, text := range call.Frames {
			var f struct{ Command, Identifier, Data string }
			json.Unmarshal([]byte(text), &f)
			kind, stream, _ := strings.Cut(f.Identifier, " ")
			switch {
			case f.Command == "message":
				ops = append(ops, []any{"message", f.Identifier, json.RawMessage(f.Data)})
			case f.Command == "unsubscribe":
				ops = append(ops, []any{"unsub", f.Identifier, stream})
				channels[f.Identifier] = nil
			case f.Command != "subscribe": // Rails logs it
			case kind == "reject":
				ops = append(ops, []any{"reject", f.Identifier})
				channels[f.Identifier] = nil
			case kind == "unknown":
				channels[f.Identifier] = nil
			default:
				if stream != "" {
					ops = append(ops, []any{"sub", f.Identifier, stream, nil})
				}
				ops = append(ops, []any{"confirm", f.Identifier})
				channels[f.Identifier] = map[string]any{"state": "c"}
			}
		}
	}
	result["ops"], result["channels"] = ops, channels
	return result
}

// testSource is a hub.Source that the test controls.
type testSource struct {
	mu      sync.Mutex
	down    error // of Ready
	held    bool  // acknowledgements wait for release
	waiting []func()
	streams map[string]bool
	publish chan [2]string
}

func newTestSource() *testSource {
	return &testSource{streams: map[string]bool{}, publish: make(chan [2]string)}
}

func (m *testSource) Run(ctx context.Context, deliver func(string, []byte)) error {
	for {
		select {
		case p := <-m.publish:
			deliver(p[0], []byte(p[1]))
		case <-ctx.Done():
			return nil
		}
	}
}

func (m *testSource) Subscribe(stream string, acknowledged func()) {
	m.mu.Lock()
	m.streams[stream] = true
	held := m.held
	if held {
		m.waiting = append(m.waiting, acknowledged)
	}
	m.mu.Unlock()
	if !held {
		acknowledged()
	}
}

func (m *testSource) Unsubscribe(stream string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.streams, stream)
}

func (m *testSource) Ready() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.down
}

// fail starts an outage, which release ends.
func (m *testSource) fail() {
	m.hold()
	m.mu.Lock()
	m.down = errors.New("the source is down")
	m.mu.Unlock()
}

func (m *testSource) hold() { m.mu.Lock(); m.held = true; m.mu.Unlock() }

func (m *testSource) release() {
	m.mu.Lock()
	waiting := m.waiting
	m.down, m.held, m.waiting = nil, false, nil
	m.mu.Unlock()
	for _, acknowledged := range waiting {
		acknowledged()
	}
}

func (m *testSource) has(stream string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.streams[stream]
}

// world is a server with its app, its source of broadcasts and its hub.
type world struct {
	*testing.T
	rails  *rails
	source *testSource
	hub    *hub.Hub
	server *Server
	url    string
}

// setup is what a test may change.
type setup struct {
	limits               Limits
	restart              Restart
	admission            admission.Options
	compress             bool
	skipDisconnectFrames bool
	relay                *relay.Relay
	history              HistoryReader
}

var testLimits = Limits{
	Socket: socket.Limits{
		MessageBytes: 4096, PendingBytes: 1 << 20, CloseWait: 500 * time.Millisecond, MessageWait: patience.Deadline,
	},
	Connections: 2000, Subscriptions: 10, SubscriptionBytes: 1 << 12, Commands: 100, OpenWait: patience.Deadline, CallWait: patience.Deadline,
}

// newWorld starts a server. At the end of the test it drains and stops it, and fails
// the test if a connection is left.
func newWorld(t *testing.T, change ...func(*setup)) *world {
	with := setup{limits: testLimits}
	for _, f := range change {
		f(&with)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	with.admission.Log = log
	w := &world{T: t, rails: newRails(t), source: newTestSource()}
	client, err := rpc.NewClient(rpc.Options{URL: w.rails.URL, Secret: "x", Node: "n", Timeout: patience.Deadline, Queue: 5000, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	w.hub = hub.New(w.source, log)
	w.server, err = NewServer(Options{
		Backend: client, Hub: w.hub, Node: "n", Limits: with.limits, Restart: with.restart, Log: log,
		Admission: admission.New(with.admission), Compress: with.compress, SkipDisconnectFrames: with.skipDisconnectFrames, Relay: with.relay, History: with.history,
	})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(w.server)
	w.url = "ws" + strings.TrimPrefix(front.URL, "http") + "/cable"
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.hub.Run(ctx) })
	running.Go(func() { w.server.Run(ctx) })
	t.Cleanup(func() {
		grace, done := context.WithTimeout(context.Background(), patience.Deadline)
		defer done()
		if left, err := w.server.Drain(grace, 0); err != nil {
			t.Errorf("%d connections are left: %v", left, err)
		}
		cancel()
		running.Wait()
		front.Close()
		client.Close()
	})
	return w
}

// browser is a client that skips pings.
type browser struct {
	*testing.T
	ws *websocket.Conn
}

func (w *world) browser() *browser {
	w.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json", "actioncable-unsupported"}, ReadBufferSize: 1 << 16}
	ws, response, err := dialer.Dial(w.url, nil)
	if err != nil {
		w.Fatalf("handshake: %v %v", err, response)
	}
	b := &browser{w.T, ws}
	w.Cleanup(func() { ws.Close() })
	return b
}

// only returns the server's one connection.
func (w *world) only() (c *Connection) {
	for _, c = range w.server.all() {
	}
	return c
}

func (w *world) welcomed() *browser {
	w.Helper()
	b := w.browser()
	b.expect(`{"type":"welcome"}`)
	return b
}

func (b *browser) send(text string) {
	b.Helper()
	if err := b.ws.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		b.Fatal(err)
	}
}

func (b *browser) subscribe(identifier string) {
	b.send(`{"command":"subscribe","identifier":"` + identifier + `"}`)
}

func (b *browser) next() (string, error) {
	b.ws.SetReadDeadline(time.Now().Add(patience.Deadline))
	for {
		_, text, err := b.ws.ReadMessage()
		if err != nil || !strings.HasPrefix(string(text), `{"type":"ping"`) {
			return string(text), err
		}
	}
}

func (b *browser) expect(frames ...string) {
	b.Helper()
	for _, want := range frames {
		if got, err := b.next(); err != nil || got != want {
			b.Fatalf("got %s (%v), want %s", got, err, want)
		}
	}
}

func (b *browser) expectClose(code int) {
	b.Helper()
	if got, err := b.next(); !websocket.IsCloseError(err, code) {
		b.Fatalf("got %s (%v), want a close with code %d", got, err, code)
	}
}

func confirmed(identifier string) string {
	return `{"identifier":"` + identifier + `","type":"confirm_subscription"}`
}

func rejected(identifier string) string {
	return `{"identifier":"` + identifier + `","type":"reject_subscription"}`
}

func message(identifier, json string) string {
	return `{"identifier":"` + identifier + `","message":` + json + `}`
}

// eventually waits for something that the browser does not see.
func (w *world) eventually(what string, holds func() bool) {
	w.Helper()
	patience.Eventually(w, what, holds)
}
