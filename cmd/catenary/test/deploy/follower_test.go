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

// A follower is a page that follows the news, with all that @rails/actioncable does about it (connection_monitor.js,
// connection.js, subscription_guarantor.js): it is light, so that there can be thousands. The real client in Node does the
// same beside it.
type follower struct {
	address string
	user    string
	monitor monitor
	late    bool // it comes while a node is being stopped

	ctx                         context.Context
	began, pinged, disconnected time.Time   // when the monitor started, last heard, and last lost the connection
	attempts                    int         // of the monitor, since the last welcome
	reopen, repeat              *time.Timer // for closing and opening at once, and for a subscribe that is not confirmed

	serial  int // of the socket whose events count
	ws      *websocket.Conn
	state   string // connecting, open or closed
	happens chan happening

	left, attempt time.Time // when it was disconnected, and when it tried to come back

	confirmed atomic.Bool  // others look at this, and the next
	last      atomic.Int64 // number of the news heard last
	inSession bool         // it was heard in this session

	account account
}

// account is what a follower can tell at the end.
type account struct {
	connections, subscriptions int
	failures                   int             // attempts that were not answered with a welcome
	away                       []time.Duration // from being disconnected to being subscribed again
	waited                     []time.Duration // of these, from the attempt on
	wrongs                     []string
}

// A happening is a message, or the end of a socket.
type happening struct {
	serial int
	ws     *websocket.Conn // just open
	text   string
	err    error
}

// A monitor is when a version of the client asks whether its connection is stale.
type monitor struct {
	version  string
	interval func(attempts int) time.Duration
	anyFrame bool // counts as a sign of life, or pings and welcomes alone
	// latest is the longest time from a disconnect to the first attempt to come back, by the formula.
	latest time.Duration
}

const (
	staleAfter  = 6 * time.Second
	reopenAfter = 500 * time.Millisecond
	repeatAfter = 500 * time.Millisecond // of a subscribe that is not confirmed
)

// monitors are those of two versions.
//
//   - Rails 6: it looks every three seconds, every 3.5 after a first attempt. A page whose last ping was 3 s old may find out after 3 s, which is
//     too recent to act, and acts at the next look, after 6 + 3.5 s at the latest.
//   - Rails 7.2 and later: it looks after 6 to 12 s. The disconnect itself is a sign of life, so what it finds at a look in the first six seconds is
//     fresh; it acts at the next look, after 6 + 12 s at the latest.
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

// run is the life of the page. It ends with ctx, and the socket before.
func (f *follower) run(ctx context.Context) {
	f.ctx, f.began, f.happens = ctx, time.Now(), make(chan happening, 64)
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
		case h := <-f.happens:
			if h.serial == f.serial {
				f.take(h)
			}
		}
	}
}

func (f *follower) reconnectIfStale(now time.Time) {
	heard := f.pinged
	if heard.IsZero() {
		heard = f.began
	}
	if now.Sub(heard) <= staleAfter {
		return
	}
	f.attempts++
	switch {
	case now.Sub(f.disconnected) < staleAfter:
	case f.state == "closed":
		f.open()
	default:
		f.wrong("it takes its connection, %s, for stale", f.state)
		f.close()
		f.reopen.Reset(reopenAfter)
	}
}

// take is the handlers of a socket.
func (f *follower) take(h happening) {
	now := time.Now()
	switch {
	case h.ws != nil:
		f.state, f.ws = "open", h.ws
	case h.err != nil && f.state == "connecting":
		f.state = "closed"
		f.account.failures++
		f.wrong("attempt to connect: %v", h.err)
	case h.err != nil:
		f.closed(now)
	default:
		f.hear(h.text, now)
	}
}

func (f *follower) hear(text string, now time.Time) {
	kind := ""
	if _, rest, ok := strings.Cut(text, `"type":"`); ok {
		kind, _, _ = strings.Cut(rest, `"`)
	}
	if f.monitor.anyFrame || kind == "ping" || kind == "welcome" {
		f.pinged = now
	}
	switch kind {
	case "":
		f.hearNews(text)
	case "welcome":
		f.account.connections++
		f.attempts, f.disconnected, f.inSession = 0, time.Time{}, false
		f.subscribe()
	case "confirm_subscription":
		if f.confirmed.Swap(true) {
			f.wrong("it is confirmed twice")
		}
		f.account.subscriptions++
		if !f.left.IsZero() {
			f.account.away, f.account.waited = append(f.account.away, now.Sub(f.left)), append(f.account.waited, now.Sub(f.attempt))
			f.left = time.Time{}
		}
	case "disconnect":
		if !strings.Contains(text, `"reason":"server_restart","reconnect":true`) {
			f.wrong("it hears %s", text)
		}
		f.left = now
		f.confirmed.Store(false)
		f.close()
	}
}

// hearNews may come before the confirmation, as natively: subscribed may still run in Rails.
func (f *follower) hearNews(text string) {
	_, number, ok := strings.Cut(text, `"message":{"n":`)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(strings.TrimRight(number, "}"), 10, 64)
	last := f.last.Swap(n)
	switch {
	case err != nil:
		f.wrong("it hears %s", text)
	case f.inSession && n != last+1, n <= last:
		f.wrong("it hears number %d after %d", n, last)
	}
	f.inSession = true
}

// open makes a socket, unless there is one. What happens to it comes through happens.
func (f *follower) open() {
	if f.state != "closed" && f.serial > 0 {
		return
	}
	f.serial++
	f.state, f.attempt = "connecting", time.Now()
	go func(ctx context.Context, serial int) {
		tell := func(h happening) bool {
			h.serial = serial
			select {
			case f.happens <- h:
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
			tell(happening{err: err})
			return
		}
		if !tell(happening{ws: ws}) {
			ws.Close()
			return
		}
		for {
			_, text, err := ws.ReadMessage()
			if !tell(happening{text: string(text), err: err}) || err != nil {
				return
			}
		}
	}(f.ctx, f.serial)
}

func (f *follower) subscribe() {
	f.ws.WriteMessage(websocket.TextMessage, []byte(stage.Command("subscribe", news, nil)))
	f.repeat.Reset(repeatAfter)
}

// close closes the socket as WebSocket.close does: the end comes when the server has answered.
func (f *follower) close() {
	if f.ws != nil {
		f.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNoStatusReceived, ""), time.Now().Add(time.Second))
	}
}

func (f *follower) closed(now time.Time) {
	f.ws.Close()
	f.ws, f.state, f.disconnected = nil, "closed", now
	f.confirmed.Store(false)
	if f.left.IsZero() {
		f.left = now
		f.wrong("its connection ends without a word")
	}
}

func (f *follower) wrong(format string, args ...any) {
	if len(f.account.wrongs) < 5 {
		f.account.wrongs = append(f.account.wrongs, fmt.Sprintf("user %s (%s): ", f.user, f.monitor.version)+fmt.Sprintf(format, args...))
	}
}
