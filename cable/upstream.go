package cable

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// upstream is a connection's own WebSocket to the app's Action Cable, for the
// channels that are passed through, or for all that is said. A connection has
// at most one.
//
// One goroutine reads it (run); a second one writes (flush) while there is
// something to write.
type upstream struct {
	connection *Connection
	whole      bool // everything is relayed, and Rails is never called
	context    context.Context
	cancel     context.CancelFunc

	// the connection's mu guards the rest
	ws       *websocket.Conn // nil: none now
	running  bool            // there is the goroutine that reads
	ready    bool            // ws may be written to; it holds all that it should
	told     bool            // the app's last frame was a disconnect
	overdue  *time.Timer     // until it is ready the browser waits, so long
	queue    []outgoing
	queued   int // bytes in queue and in the flusher's hands
	flushing bool

	subscriptions map[string]*relayed
	order         []*relayed // in order of their subscribe
	awaited       int        // confirmations that the app owes us after a loss
}

func newUpstream(c *Connection, whole bool) *upstream {
	u := &upstream{connection: c, whole: whole, subscriptions: map[string]*relayed{}}
	u.context, u.cancel = context.WithCancel(c.server.context)
	return u
}

// run reads from the app until the connection ends or nothing is left to relay.
// If the app's end is lost, as when Puma is restarted, it opens another, on
// which the subscriptions are resumed.
func (u *upstream) run() {
	c := u.connection
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
		c.log().Debug("upstream is opened again", "lost", err)
	}
}

// connect opens the upstream, unless it is open. It returns nil if there is
// nothing more to be done.
func (u *upstream) connect() *websocket.Conn {
	c := u.connection
	if u.whole {
		c.mu.Lock()
		defer c.mu.Unlock()
		return u.ws
	}
	var request rpc.Request
	json.Unmarshal(c.request, &request) // we wrote it ourselves
	ws, refusal, err := c.server.passThrough.open(u.context, &request)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil: // the connection has ended: that alone ends the context
		return nil
	case refusal != nil:
		c.log().Warn("the app's own Action Cable refuses what is passed through: is it mounted at the same path?", "status", refusal.Status)
		u.reject()
		return nil
	case c.ended:
		ws.Close()
		return nil
	}
	ws.SetReadLimit(int64(c.server.limits.PendingBytes)) // a longer one could not be given to the browser
	u.ws = ws
	return ws
}

// silence is how long the app may say nothing, not even its ping of every three
// seconds, before it is taken for lost.
const silence = 10 * time.Second

func (u *upstream) read(ws *websocket.Conn) error {
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
			u.relay(text)
		} else {
			u.take(text)
		}
	}
}

// lost decides what becomes of the connection when the upstream has ended, and
// tells whether to open another.
func (u *upstream) lost(err error) (again bool) {
	c := u.connection
	c.mu.Lock()
	u.ws, u.ready, u.awaited = nil, false, 0
	ended, told := c.ended, u.told
	if !ended && !u.whole && !closedByApp(err) {
		if again = u.wanted(); again {
			u.hurry()
		}
		c.mu.Unlock()
		return again
	}
	c.mu.Unlock()
	var closed *websocket.CloseError
	switch {
	case ended:
	case closedByApp(err): // its last word, to be passed on
		errors.As(err, &closed)
		c.answerClose(closed.Code, closed.Text)
		c.end("app_closed", nil)
	case told:
		c.end("app_closed", nil)
	default:
		c.end("app_lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
	return false
}

// closedByApp tells a close frame from a connection that broke.
func closedByApp(err error) bool {
	var closed *websocket.CloseError
	return errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure
}

// over is run's end.
func (u *upstream) over() {
	c := u.connection
	c.mu.Lock()
	u.running = false
	ended := c.ended
	if u.wanted() && !ended { // the browser has subscribed in the meantime
		u.start()
	}
	c.mu.Unlock()
	if ended {
		u.cancel()
	}
	if ended && u.whole {
		c.server.remove(c)
	}
}

// start has the upstream opened and read. c.mu is held.
func (u *upstream) start() {
	if u.running {
		return
	}
	u.running = true
	if !u.ready {
		u.hurry()
	}
	go u.run()
}

// hurry bounds how long the browser waits for an upstream. c.mu is held.
func (u *upstream) hurry() {
	c := u.connection
	if u.overdue == nil {
		u.overdue = time.AfterFunc(c.server.limits.CallWait, func() {
			c.log().Warn("the app's own Action Cable does not answer in time")
			c.end("app_lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
		})
	}
}

// calm is hurry's reverse.
func (u *upstream) calm() {
	if u.overdue != nil {
		u.overdue.Stop()
		u.overdue = nil
	}
}

// close follows the connection's end: the app gets what the browser has said
// before, and a close frame. c.mu is held.
func (u *upstream) close() {
	u.calm()
	if u.ready && u.running {
		u.startFlush()
		return
	}
	u.cancel()
	if u.ws != nil {
		u.ws.Close()
	}
	if u.whole && !u.running {
		u.connection.server.remove(u.connection)
	}
}
