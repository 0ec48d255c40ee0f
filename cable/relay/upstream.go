package relay

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// Browser is the connection that an Upstream belongs to. Send and Admit are
// called with its lock held, End and Close without.
type Browser interface {
	// Send sends a text to the browser.
	Send(text string)

	// Admit reports whether there may be one subscription more, which keeps so
	// many bytes.
	Admit(bytes int) bool

	// Close passes on the app's close frame.
	Close(code int, text string)

	// End ends the connection. With a disconnect, the browser is told.
	End(reason string, d *protocol.Disconnect)

	// Gone is called when nothing is left of a whole connection that has ended.
	Gone()

	// Log returns the connection's log.
	Log() *slog.Logger
}

// Limits bound an Upstream.
type Limits struct {
	PendingBytes int // may wait for the app; then the browser is read no further

	OpenWait  time.Duration // for the app's answer to the handshake of a whole connection
	CallWait  time.Duration // for an app that cannot be reached; then the browser must reconnect
	CloseWait time.Duration // for the app's answer to our close frame
}

// Upstream is a connection's own WebSocket to the app's Action Cable, for the
// channels that are passed through, or for all that is said. A connection has
// at most one.
//
// One goroutine reads it (run); a second one writes (flush) while there is
// something to write.
type Upstream struct {
	relay   *Relay
	browser Browser
	limits  Limits
	request json.RawMessage // the browser's handshake
	whole   bool            // everything is relayed, and Rails is never called
	context context.Context
	cancel  context.CancelFunc

	mu       *sync.Mutex     // the browser's, guards the rest
	ended    bool            // Close has been called
	space    sync.Cond       // signalled when the queue is shorter, and by Close
	ws       *websocket.Conn // nil: none now
	running  bool            // there is the goroutine that reads
	ready    bool            // ws may be written to; it holds all that it should
	told     bool            // the app's last frame was a disconnect
	overdue  *time.Timer     // until it is ready the browser waits, so long
	queue    []outgoing
	queued   int // bytes in queue and in the flusher's hands
	flushing bool

	subscriptions map[string]*subscription
	order         []*subscription // in order of their subscribe
	awaited       int             // confirmations that the app owes us after a loss
}

// NewUpstream makes the Upstream of a browser, for some channels or for all that
// is said (TakesAll). It ends with ctx, or with Close. lock is the browser's.
func (r *Relay) NewUpstream(
	ctx context.Context, browser Browser, lock *sync.Mutex, request json.RawMessage, limits Limits,
) *Upstream {
	u := &Upstream{
		relay: r, browser: browser, mu: lock, request: request, limits: limits,
		whole: r.whole, subscriptions: map[string]*subscription{},
	}
	u.space.L = lock
	u.context, u.cancel = context.WithCancel(ctx)
	return u
}

// Whole reports whether everything is relayed, and Rails is never called.
func (u *Upstream) Whole() bool { return u != nil && u.whole }

// run reads from the app until the connection ends or nothing is left to relay.
// If the app's end is lost, as when Puma is restarted, it opens another, on
// which the subscriptions are resumed.
func (u *Upstream) run() {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		ws := u.connect()
		if ws == nil {
			u.over()
			return
		}
		began := time.Now()
		err := u.read(ws)
		ws.Close()
		if !u.lost(err) {
			u.over()
			return
		}
		if time.Since(began) > silence {
			pause = firstPause
		}
		sleep(u.context, pause)
		u.browser.Log().Debug("upstream is opened again", "lost", err)
	}
}

// connect opens the upstream, unless it is open. It returns nil if there is
// nothing more to be done.
func (u *Upstream) connect() *websocket.Conn {
	if u.whole {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.ws
	}
	var request rpc.Request
	json.Unmarshal(u.request, &request) // we wrote it ourselves
	ws, refusal, err := u.relay.open(u.context, &request)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err != nil: // the connection has ended: that alone ends the context
		return nil
	case refusal != nil:
		u.browser.Log().Warn("the app's own Action Cable refuses what is passed through: is it mounted at the same path?", "status", refusal.Status)
		u.reject()
		return nil
	case u.ended:
		ws.Close()
		return nil
	}
	ws.SetReadLimit(longestMessage)
	u.ws = ws
	return ws
}

// longestMessage is what the app may say at once, as long as what its broadcasts
// may have (see broadcast.RedisOptions).
const longestMessage = 16 << 20

// silence is how long the app may say nothing, not even its ping of every three
// seconds, before it is taken for lost.
const silence = 10 * time.Second

func (u *Upstream) read(ws *websocket.Conn) error {
	for {
		if !u.whole { // else the pings are the browser's own to miss
			ws.SetReadDeadline(time.Now().Add(silence))
		}
		kind, text, err := ws.ReadMessage()
		if err != nil {
			return err
		}
		if kind != websocket.TextMessage {
			continue
		}
		if u.whole {
			u.pass(text)
		} else {
			u.take(text)
		}
	}
}

// lost decides what becomes of the connection when the upstream has ended, and
// tells whether to open another.
func (u *Upstream) lost(err error) (again bool) {
	u.mu.Lock()
	u.ws, u.ready, u.awaited = nil, false, 0
	ended, told := u.ended, u.told
	if !ended && !u.whole && !closedByApp(err) {
		again = u.wanted()
		if again {
			u.hurry()
		}
		u.mu.Unlock()
		return again
	}
	u.mu.Unlock()
	var closed *websocket.CloseError
	switch {
	case ended:
	case closedByApp(err): // its last word, to be passed on
		errors.As(err, &closed)
		u.browser.Close(closed.Code, closed.Text)
		u.browser.End("app_closed", nil)
	case told:
		u.browser.End("app_closed", nil)
	default:
		u.browser.End("app_lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
	return false
}

// closedByApp tells a close frame from a connection that broke.
func closedByApp(err error) bool {
	var closed *websocket.CloseError
	return errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure
}

// over is run's end.
func (u *Upstream) over() {
	u.mu.Lock()
	u.running = false
	ended := u.ended
	if u.wanted() && !ended { // the browser has subscribed in the meantime
		u.start()
	}
	u.mu.Unlock()
	if ended {
		u.cancel()
	}
	if ended && u.whole {
		u.browser.Gone()
	}
}

// start has the upstream opened and read. The lock is held.
func (u *Upstream) start() {
	if u.running {
		return
	}
	u.running = true
	if !u.ready {
		u.hurry()
	}
	go u.run()
}

// hurry bounds how long the browser waits for an upstream. The lock is held.
func (u *Upstream) hurry() {
	if u.overdue == nil {
		u.overdue = time.AfterFunc(u.limits.CallWait, func() {
			u.browser.Log().Warn("the app's own Action Cable does not answer in time")
			u.browser.End("app_lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
		})
	}
}

// stopHurry is hurry's reverse.
func (u *Upstream) stopHurry() {
	if u.overdue != nil {
		u.overdue.Stop()
		u.overdue = nil
	}
}

// Close follows the connection's end: the app gets what the browser has said
// before, and a close frame. The lock is held.
func (u *Upstream) Close() {
	u.ended = true
	u.space.Signal()
	u.stopHurry()
	if u.ready && u.running {
		u.startFlush()
		return
	}
	u.cancel()
	if u.ws != nil {
		u.ws.Close()
	}
	if u.whole && !u.running {
		u.browser.Gone()
	}
}
