package cable

import (
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

// outgoing is what the browser has said to the app.
type outgoing struct {
	text         []byte
	kind         protocol.Kind
	subscription *relayed // nil if everything is relayed
}

// passThrough takes a command to the app's own Action Cable if it belongs there.
// c.mu is held.
func (c *Connection) passThrough(command protocol.Command, text []byte) (taken bool) {
	if !c.server.passThrough.takes(command) {
		return false
	}
	if c.upstream == nil {
		if command.Kind != protocol.Subscribe {
			return true // of nothing: Rails only writes a line to its log
		}
		c.upstream = newUpstream(c, false)
	}
	c.upstream.send(command, text)
	return true
}

// send queues what the browser has said, in order. c.mu is held.
func (u *upstream) send(command protocol.Command, text []byte) {
	if u.waitForRoom(); u.connection.ended {
		return
	}
	out := outgoing{text: text, kind: command.Kind}
	if !u.whole {
		if out.subscription = u.ask(command, out.text); out.subscription == nil {
			return
		}
		out.subscription.queued++
	}
	u.queue = append(u.queue, out)
	u.queued += len(text)
	if !u.ready {
		u.start()
		return
	}
	u.startFlush()
}

// waitForRoom holds up the browser's reader while too much of what it said waits
// for the app.
func (u *upstream) waitForRoom() {
	c := u.connection
	for u.queued >= c.server.limits.PendingBytes && !c.ended {
		c.room.await(&c.mu)
	}
}

func (u *upstream) startFlush() {
	if !u.flushing {
		u.flushing = true
		go u.flush()
	}
}

// writeWait is how long the app may take for one message.
const writeWait = 10 * time.Second

// flush writes the queue, and the close frame if the connection has ended.
func (u *upstream) flush() {
	c := u.connection
	c.mu.Lock()
	for u.ready && len(u.queue) > 0 {
		ws, next := u.ws, u.queue[0]
		u.queue = u.queue[1:]
		if next.subscription != nil {
			u.written(next.subscription, next.kind)
		}
		c.mu.Unlock()
		err := write(ws, next.text)
		c.mu.Lock()
		u.queued -= len(next.text)
		c.room.make()
		if err != nil && u.ws == ws {
			u.ready = false
		}
	}
	u.flushing = false
	ws, over := u.ws, u.ready && c.ended
	c.mu.Unlock()
	if over { // the app answers with its own, and the reader ends
		ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(writeWait))
		ws.SetReadDeadline(time.Now().Add(c.server.limits.CloseWait))
	}
}

// write sends a text to the app. If it cannot, the reader finds out.
func write(ws *websocket.Conn, text []byte) error {
	ws.SetWriteDeadline(time.Now().Add(writeWait))
	err := ws.WriteMessage(websocket.TextMessage, text)
	if err != nil {
		ws.Close()
	}
	return err
}
