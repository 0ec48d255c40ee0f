package relay

import (
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

// writeTimeout bounds the write of one message to the app.
const writeTimeout = 10 * time.Second

// outgoing is a message from the browser to the app.
type outgoing struct {
	text         []byte
	kind         protocol.Kind
	subscription *subscription // nil for a whole connection
}

// Send queues a message of the browser. While Limits.PendingBytes wait for the app, it blocks the
// browser's reader. The lock is held.
func (u *Upstream) Send(command protocol.Command, text []byte) {
	for u.queued >= u.limits.PendingBytes && !u.ended {
		u.space.Wait()
	}
	if u.ended {
		return
	}
	out := outgoing{text: text, kind: command.Kind}
	if !u.whole {
		out.subscription = u.note(command, text)
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

func (u *Upstream) startFlush() {
	if !u.flushing {
		u.flushing = true
		go u.flush()
	}
}

// flush writes the queue, and a close frame if the browser's connection has closed.
func (u *Upstream) flush() {
	u.mu.Lock()
	for u.ready && len(u.queue) > 0 {
		ws, next := u.ws, u.queue[0]
		u.queue = u.queue[1:]
		if next.subscription != nil {
			u.sending(next.subscription, next.kind)
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
	ws, closing := u.ws, u.ready && u.ended
	u.mu.Unlock()
	if closing { // the app answers with a close frame, which ends run
		frame := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		ws.WriteControl(websocket.CloseMessage, frame, time.Now().Add(writeTimeout))
		ws.SetReadDeadline(time.Now().Add(u.limits.CloseWait))
	}
}

// write sends a message to the app. If it fails, it closes the WebSocket, which ends Upstream.read.
func write(ws *websocket.Conn, text []byte) error {
	ws.SetWriteDeadline(time.Now().Add(writeTimeout))
	err := ws.WriteMessage(websocket.TextMessage, text)
	if err != nil {
		ws.Close()
	}
	return err
}
