package deploy

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/gorilla/websocket"
)

// A follower is a page that follows the news and reconnects as @rails/actioncable does
// (connection_monitor.js, connection.js, subscription_guarantor.js). It is small, so that thousands
// can run. A real client in Node runs beside them.
type follower struct {
	address string
	user    string
	monitor monitor
	late    bool // it connects while a node is being stopped

	ctx                         context.Context
	began, pinged, disconnected time.Time   // the monitor's startedAt, pingedAt and disconnectedAt
	attempts                    int         // the monitor's reconnectAttempts
	reopen, repeat              *time.Timer // to open after a close, and to repeat an unconfirmed subscribe

	serial int // number of the current socket, whose events count
	ws     *websocket.Conn
	state  string // connecting, open or closed
	events chan socketEvent

	lostAt, attempt time.Time // when the connection was lost, and when the last attempt began

	confirmed atomic.Bool  // read by other goroutines
	last      atomic.Int64 // number of the latest news; read by other goroutines
	inSession bool         // it arrived on the current connection

	record record
}

// record is what a follower has recorded.
type record struct {
	connections, subscriptions int
	failures                   int             // attempts without a welcome
	away                       []time.Duration // from each loss of the connection to the next confirmation
	waited                     []time.Duration // the part of it after the attempt began
	problems                   []string        // what should not have happened
}

// A socketEvent is an event of a socket: that it is open, a message, or an error.
type socketEvent struct {
	serial int
	ws     *websocket.Conn // set if it has just opened
	text   string
	err    error
}

// A monitor is the ConnectionMonitor of a version of the client, which looks for stale connections.
type monitor struct {
	version  string
	interval func(attempts int) time.Duration
	anyFrame bool // every frame counts as a heartbeat, not only pings and welcomes
	// latest is the longest time from a disconnect to the next attempt, by the client's formula.
	latest time.Duration
}

const (
	staleAfter  = 6 * time.Second
	reopenAfter = 500 * time.Millisecond
	repeatAfter = 500 * time.Millisecond // the guarantor's interval for unconfirmed subscribes
)

// monitors are the monitors of two versions.
//
//   - Rails 6 looks every 3 s, and every 3.5 s after a first attempt. If the last ping is 3 s old at a
//     disconnect, the look after 3 s does not find the connection stale, and the next one acts, after at
//     most 6 + 3.5 s.
//   - Rails 7.2 and later look after 6 to 12 s. The disconnect itself counts as a heartbeat, so a look in
//     the first 6 s does not find the connection stale, and the next one acts, after at most 6 + 12 s.
var monitors = []monitor{
	{version: "6.1", latest: 9500 * time.Millisecond, interval: func(attempts int) time.Duration {
		return time.Duration(min(max(5*math.Log(float64(attempts)+1), 3), 30) * float64(time.Second))
	}},
	{version: "8.1", latest: 18 * time.Second, anyFrame: true, interval: func(attempts int) time.Duration {
		jitter := 0.15
		if attempts == 0 {
			jitter = 1
		}
		return time.Duration(float64(staleAfter) * math.Pow(1.15, float64(min(attempts, 10))) * (1 + jitter*rand.Float64()))
	}},
}

const news = `{"channel":"StreamChannel","s":"news"}`

// run runs the page until ctx ends. It closes the socket at the end.
func (f *follower) run(ctx context.Context) {
	f.ctx, f.began, f.events = ctx, time.Now(), make(chan socketEvent, 64)
	f.reopen, f.repeat = time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	f.open()
	poll := time.NewTimer(f.monitor.interval(0))
	for {
		select {
		case <-ctx.Done():
			if f.ws != nil {
				f.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
				f.ws.Close()
			}
			return
		case <-poll.C:
			f.reconnectIfStale(time.Now())
			poll.Reset(f.monitor.interval(f.attempts))
		case <-f.reopen.C:
			f.open()
		case <-f.repeat.C:
			if f.state == "open" && !f.confirmed.Load() {
				f.subscribe()
			}
		case h := <-f.events:
			if h.serial == f.serial {
				f.handle(h)
			}
		}
	}
}

func (f *follower) reconnectIfStale(now time.Time) {
	last := f.pinged
	if last.IsZero() {
		last = f.began
	}
	if now.Sub(last) <= staleAfter {
		return
	}
	f.attempts++
	switch {
	case now.Sub(f.disconnected) < staleAfter:
	case f.state == "closed":
		f.open()
	default:
		f.problem("the monitor finds the connection stale, %s", f.state)
		f.close()
		f.reopen.Reset(reopenAfter)
	}
}

// handle handles the events of a socket.
func (f *follower) handle(h socketEvent) {
	now := time.Now()
	switch {
	case h.ws != nil:
		f.state, f.ws = "open", h.ws
	case h.err != nil && f.state == "connecting":
		f.state = "closed"
		f.record.failures++
		f.problem("attempt to connect: %v", h.err)
	case h.err != nil:
		f.closed(now)
	default:
		f.receive(h.text, now)
	}
}

func (f *follower) receive(text string, now time.Time) {
	kind := ""
	if _, rest, ok := strings.Cut(text, `"type":"`); ok {
		kind, _, _ = strings.Cut(rest, `"`)
	}
	if f.monitor.anyFrame || kind == "ping" || kind == "welcome" {
		f.pinged = now
	}
	switch kind {
	case "":
		f.receiveNews(text)
	case "welcome":
		f.record.connections++
		f.attempts, f.disconnected, f.inSession = 0, time.Time{}, false
		f.subscribe()
	case "confirm_subscription":
		if f.confirmed.Swap(true) {
			f.problem("the subscription was confirmed twice")
		}
		f.record.subscriptions++
		if !f.lostAt.IsZero() {
			f.record.away, f.record.waited = append(f.record.away, now.Sub(f.lostAt)), append(f.record.waited, now.Sub(f.attempt))
			f.lostAt = time.Time{}
		}
	case "disconnect":
		if !strings.Contains(text, `"reason":"server_restart","reconnect":true`) {
			f.problem("got %s", text)
		}
		f.lostAt = now
		f.confirmed.Store(false)
		f.close()
	}
}

// receiveNews accepts news before the confirmation, as natively: subscribed may still run in Rails.
func (f *follower) receiveNews(text string) {
	_, number, ok := strings.Cut(text, `"message":{"n":`)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(strings.TrimRight(number, "}"), 10, 64)
	last := f.last.Swap(n)
	switch {
	case err != nil:
		f.problem("got %s", text)
	case f.inSession && n != last+1, n <= last:
		f.problem("got number %d after %d", n, last)
	}
	f.inSession = true
}

// open opens a socket unless there is one. Its events are sent to events.
func (f *follower) open() {
	if f.state != "closed" && f.serial > 0 {
		return
	}
	f.serial++
	f.state, f.attempt = "connecting", time.Now()
	go func(ctx context.Context, serial int) {
		post := func(h socketEvent) bool {
			h.serial = serial
			select {
			case f.events <- h:
				return true
			case <-ctx.Done():
				return false
			}
		}
		dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json", "actioncable-unsupported"}, ReadBufferSize: 512, WriteBufferSize: 256, HandshakeTimeout: time.Minute}
		ws, response, err := dialer.DialContext(ctx, "ws://"+f.address+"/cable?uid="+f.user, http.Header{"Origin": {"http://" + f.address}})
		if err != nil {
			if response != nil {
				err = fmt.Errorf("answered with %s", response.Status)
			}
			post(socketEvent{err: err})
			return
		}
		if !post(socketEvent{ws: ws}) {
			ws.Close()
			return
		}
		for {
			_, text, err := ws.ReadMessage()
			if !post(socketEvent{text: string(text), err: err}) || err != nil {
				return
			}
		}
	}(f.ctx, f.serial)
}

func (f *follower) subscribe() {
	f.ws.WriteMessage(websocket.TextMessage, []byte(stage.Command("subscribe", news, nil)))
	f.repeat.Reset(repeatAfter)
}

// close sends a close frame, as WebSocket.close does. The socket ends when the server has answered.
func (f *follower) close() {
	if f.ws != nil {
		f.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNoStatusReceived, ""), time.Now().Add(time.Second))
	}
}

func (f *follower) closed(now time.Time) {
	f.ws.Close()
	f.ws, f.state, f.disconnected = nil, "closed", now
	f.confirmed.Store(false)
	if f.lostAt.IsZero() {
		f.lostAt = now
		f.problem("the connection was lost without a disconnect frame")
	}
}

func (f *follower) problem(format string, args ...any) {
	if len(f.record.problems) < 5 {
		f.record.problems = append(f.record.problems, fmt.Sprintf("user %s (%s): ", f.user, f.monitor.version)+fmt.Sprintf(format, args...))
	}
}
