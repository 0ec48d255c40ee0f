package relay

import (
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

// outgoing is what the browser has said to the app.
type outgoing struct {
	text         []byte
	kind         protocol.Kind
	subscription *subscription // nil if everything is relayed
}

// Send queues what the browser has said, in order. It blocks while too much
// waits. The lock is held.
func (u *Upstream) Send(command protocol.Command, text []byte) {
	u.waitForRoom()
	if u.ended {
		return
	}
	out := outgoing{text: text, kind: command.Kind}
	if !u.whole {
		out.subscription = u.ask(command, out.text)
		if out.subscription == nil {
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

// Queued returns how many bytes wait for the app. The lock is held.
func (u *Upstream) Queued() int { return u.queued }

// waitForRoom holds up the browser's reader while too much of what it said waits
// for the app.
func (u *Upstream) waitForRoom() {
	for u.queued >= u.limits.PendingBytes && !u.ended {
		u.space.Wait()
	}
}

func (u *Upstream) startFlush() {
	if !u.flushing {
		u.flushing = true
		go u.flush()
	}
}

// writeWait is how long the app may take for one message.
const writeWait = 10 * time.Second

// flush writes the queue, and the close frame if the connection has ended.
func (u *Upstream) flush() {
	u.mu.Lock()
	for u.ready && len(u.queue) > 0 {
		ws, next := u.ws, u.queue[0]
		u.queue = u.queue[1:]
		if next.subscription != nil {
			u.written(next.subscription, next.kind)
		}
		u.mu.Unlock()
		err := write(ws, next.text)
		u.mu.Lock()
		u.queued -= len(next.text)
		u.space.Signal()
		if err != nil && u.ws == ws {
			u.ready = false
		}
	}
	u.flushing = false
	ws, over := u.ws, u.ready && u.ended
	u.mu.Unlock()
	if over { // the app answers with its own, and the reader ends
		goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(writeWait))
		ws.SetReadDeadline(time.Now().Add(u.limits.CloseWait))
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
