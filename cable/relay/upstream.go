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

const (
	// maxMessage bounds one message of the app, in bytes, as broadcast.RedisOptions.MaxPayload
	// does.
	maxMessage = 16 << 20

	// readTimeout is how long the app may send nothing, not even its ping every three seconds,
	// before an upstream of channels counts as lost.
	readTimeout = 10 * time.Second
)

// Browser is the connection that an Upstream belongs to. The Upstream calls Send and Admit with its
// lock held, and End and Close without.
type Browser interface {
	// Send sends a message to the browser.
	Send(text string)

	// Admit reports whether another subscription, of that many bytes, is within the limits.
	Admit(bytes int) bool

	// Close passes on the app's close frame.
	Close(code int, text string)

	// End closes the connection, after a disconnect frame if d is not nil.
	End(reason string, d *protocol.Disconnect)

	// Gone reports that the upstream of a whole connection has closed.
	Gone()

	Log() *slog.Logger
}

// Limits bound an Upstream.
type Limits struct {
	PendingBytes int // may wait for the app before Send blocks the browser's reader

	OpenWait  time.Duration // for the app's answer to the handshake of a whole connection
	CallWait  time.Duration // for an app that cannot be reached; then the browser must reconnect
	CloseWait time.Duration // for the app's answer to our close frame
}

// Upstream is one browser's WebSocket to the app's Action Cable, for the channels that are passed
// through or for its whole connection. A connection has at most one.
//
// One goroutine reads (run), and a second one writes while the queue is not empty (flush).
type Upstream struct {
	relay   *Relay
	browser Browser
	limits  Limits
	request json.RawMessage // the browser's handshake
	whole   bool            // for a whole connection: everything is relayed, and Rails is never called
	context context.Context
	cancel  context.CancelFunc

	mu           *sync.Mutex     // the browser's; guards the rest
	ended        bool            // Close has been called
	space        sync.Cond       // signalled when the queue has shrunk, and by Close
	ws           *websocket.Conn // nil while there is none
	running      bool            // run is running
	ready        bool            // ws may be written to: the app has all subscriptions again
	disconnected bool            // the app's last message was a disconnect
	deadline     *time.Timer     // closes the connection unless the upstream is ready by then
	queue        []outgoing
	queued       int // bytes in queue and in flush's hands
	flushing     bool

	subscriptions map[string]*subscription
	order         []*subscription // the same in the order in which they were made
	unconfirmed   int             // confirmations that the app owes us after a reconnect
}

// NewUpstream returns the Upstream of a browser, for its whole connection if TakesAll. It ends with
// ctx or with Close. lock is the browser's.
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

// start starts run, unless it is running. The lock is held.
func (u *Upstream) start() {
	if u.running {
		return
	}
	u.running = true
	if !u.ready {
		u.setDeadline()
	}
	go u.run()
}

// run reads from the app until the connection closes or nothing is left to relay. If an upstream of
// channels is lost, as when Puma restarts, run opens another and subscribes again.
func (u *Upstream) run() {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		ws := u.connect()
		if ws == nil {
			u.finish()
			return
		}
		began := time.Now()
		err := u.read(ws)
		ws.Close()
		reopen := u.handleClose(err)
		if !reopen {
			u.finish()
			return
		}
		if time.Since(began) > readTimeout {
			pause = firstPause
		}
		sleep(u.context, pause)
		u.browser.Log().Debug("reopening upstream", "error", err)
	}
}

// connect returns the open WebSocket of a whole connection, or opens one for channels. It returns
// nil if run must stop.
func (u *Upstream) connect() *websocket.Conn {
	if u.whole {
		u.mu.Lock()
		defer u.mu.Unlock()
		return u.ws
	}
	var request rpc.Request
	json.Unmarshal(u.request, &request) // we wrote it ourselves
	ws, rejection, err := u.relay.open(u.context, &request)
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case err != nil: // the connection has closed: nothing else ends the context
		return nil
	case rejection != nil:
		u.browser.Log().Warn("the app's own Action Cable rejects passed-through channels: is it mounted at the same path?",
			"status", rejection.Status)
		u.rejectAll()
		return nil
	case u.ended:
		ws.Close()
		return nil
	}
	ws.SetReadLimit(maxMessage)
	u.ws = ws
	return ws
}

func (u *Upstream) read(ws *websocket.Conn) error {
	for {
		if !u.whole { // a wholly relayed browser gets the app's pings, and notices a silence itself
			ws.SetReadDeadline(time.Now().Add(readTimeout))
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
			u.receive(text)
		}
	}
}

// handleClose closes the browser's connection after the app has closed or lost the upstream. It
// returns true to have the upstream reopened instead.
func (u *Upstream) handleClose(err error) (reopen bool) {
	u.mu.Lock()
	u.ws = nil
	u.ready = false
	u.unconfirmed = 0
	ended, disconnected := u.ended, u.disconnected
	if !ended && !u.whole && !closedByApp(err) {
		reopen = u.needed()
		if reopen {
			u.setDeadline()
		}
		u.mu.Unlock()
		return reopen
	}
	u.mu.Unlock()
	var frame *websocket.CloseError
	switch {
	case ended:
	case closedByApp(err):
		errors.As(err, &frame)
		u.browser.Close(frame.Code, frame.Text)
		u.browser.End("app_closed", nil)
	case disconnected:
		u.browser.End("app_closed", nil)
	default:
		u.browser.End("app_lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
	return false
}

// closedByApp reports whether the app sent a close frame; otherwise the connection broke.
func closedByApp(err error) bool {
	var frame *websocket.CloseError
	return errors.As(err, &frame) && frame.Code != websocket.CloseAbnormalClosure
}

// finish ends run. It starts another if the browser has subscribed meanwhile.
func (u *Upstream) finish() {
	u.mu.Lock()
	u.running = false
	ended := u.ended
	if !ended && u.needed() {
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

// setDeadline bounds how long the browser waits for the upstream to be ready. The lock is held.
func (u *Upstream) setDeadline() {
	if u.deadline != nil {
		return
	}
	u.deadline = time.AfterFunc(u.limits.CallWait, func() {
		u.browser.Log().Warn("the app's own Action Cable did not answer in time")
		u.browser.End("app_lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	})
}

// clearDeadline undoes setDeadline. The lock is held.
func (u *Upstream) clearDeadline() {
	if u.deadline != nil {
		u.deadline.Stop()
		u.deadline = nil
	}
}

// Close closes the upstream after the browser's connection has closed: the app gets what the browser
// sent before, and a close frame. The lock is held.
func (u *Upstream) Close() {
	u.ended = true
	u.space.Signal()
	u.clearDeadline()
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
