package socket

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// reader reads one browser's messages. If the poller watches the socket, a goroutine and a parser
// exist only while there is something to read. Otherwise a goroutine waits for each message.
type reader struct {
	socket  *Socket
	parser  *parser // nil: none is borrowed
	fd      int32   // the socket's, by which the poller knows it; -1: the poller cannot watch it
	watched bool
}

var errNotUTF8 = &websocket.CloseError{
	Code: websocket.CloseInvalidFramePayloadData, Text: "Could not decode a text frame as UTF-8",
}

// errTooSlow limits how long a message that has begun can hold memory.
var errTooSlow = errors.New("the rest of a message did not arrive in time")

// Start begins to read messages and to answer pings and the close frame. Call it after Upgrade.
func (s *Socket) Start() {
	r := &s.reader
	if r.fd >= 0 {
		r.watched = true
		err := s.shared.poller.Watch(int(r.fd), r)
		if err == nil {
			return
		}
		r.watched = false
	}
	go r.Ready()
}

// AnswerClose answers a close frame as websocket-driver does.
func (s *Socket) AnswerClose(code int, text string) error {
	if code == websocket.CloseNoStatusReceived {
		code = websocket.CloseNormalClosure
	}
	s.SendClose(code, text)
	return nil
}

// Ready borrows a parser and reads. The poller starts it when the socket is readable.
func (r *reader) Ready() {
	r.borrowParser()
	r.run()
}

// run reads messages until none is left in the buffer.
func (r *reader) run() {
	for {
		_, err := r.parser.buffer.Peek(1) // without a deadline: no message has begun
		if err != nil {
			r.returnParser()
			r.finish(err)
			return
		}
		text, err := r.message()
		if err != nil {
			detachBuffer(&r.parser.buffer)
			r.parser = nil // not to the pool: gorilla keeps the error
			r.finish(err)
			return
		}
		r.socket.throttle()
		if text != nil {
			r.socket.owner.Receive(text)
		}
		if r.watched && r.parser.buffer.Buffered() == 0 {
			r.returnParser()
			r.socket.shared.poller.Again(int(r.fd), r)
			return
		}
	}
}

// message returns the next message. It returns nil for a ping or a pong, and for a binary message,
// which Rails' own server ignores too.
func (r *reader) message() (text []byte, err error) {
	limits := &r.socket.shared.limits
	began := time.Now()
	r.parser.deadline = began.Add(limits.MessageWait)
	defer r.parser.clearDeadline()
	handled := r.controlFrame()
	if handled {
		return nil, nil
	}
	kind, from, err := r.parser.ws.NextReader()
	if err == nil {
		if r.socket.deflates { // gorilla limits the compressed size only
			from = io.LimitReader(from, limits.MessageBytes+1)
		}
		text, err = r.parser.readAll(from)
	}
	switch {
	case err != nil && time.Since(began) >= limits.MessageWait:
		return nil, errTooSlow
	case err != nil:
		return nil, err
	case int64(len(text)) > limits.MessageBytes:
		r.socket.SendClose(websocket.CloseMessageTooBig, "")
		return nil, websocket.ErrReadLimit
	case kind != websocket.TextMessage:
		return nil, nil
	case !utf8.Valid(text):
		return nil, errNotUTF8
	}
	return text, nil
}

// controlFrame handles a ping or a pong if it comes first, and reports whether it did: gorilla
// would wait for the message after it, which may never come. All other frames, invalid ones too,
// are gorilla's.
func (r *reader) controlFrame() (handled bool) {
	head, err := r.parser.buffer.Peek(2)
	if err != nil {
		return false
	}
	kind := head[0]
	masked := head[1]&0x80 != 0
	size := int(head[1] & 0x7f)
	if kind != pingFrame && kind != pongFrame || !masked || size > 125 {
		return false
	}
	whole, err := r.parser.buffer.Peek(2 + 4 + size)
	if err != nil {
		return false
	}
	if kind == pingFrame {
		key, data := whole[2:6], whole[6:]
		pong := frame(pongFrame, data)
		for i := range data {
			pong[len(pong)-size+i] ^= key[i%4]
		}
		r.socket.Send(pong)
	}
	r.parser.buffer.Discard(len(whole))
	return true
}

// finish stops watching, and ends.
func (r *reader) finish(err error) {
	if r.watched {
		r.socket.shared.poller.Closing(int(r.fd), r)
	}
	r.end(err)
}

// end reports to the owner that the connection is closed, and why, and closes the socket.
func (r *reader) end(err error) {
	s := r.socket
	if err == errNotUTF8 {
		s.SendClose(errNotUTF8.Code, errNotUTF8.Text)
	}
	s.finish(nil)
	reason, how := endReason(err)
	s.owner.End(reason, how)
	if reason == "browser_closed" || reason == "browser_lost" {
		s.Close()
		return
	}
	// If we closed now, data that the browser still sends would reset the connection, and our close
	// frame would be lost.
	time.AfterFunc(time.Second, func() { s.Close() })
}

// endReason translates an error of message into one word for logs and metrics, and into what the
// application learns.
func endReason(err error) (reason string, how *Ending) {
	var closed *websocket.CloseError
	switch lost := (&Ending{Code: websocket.CloseAbnormalClosure}); {
	case errors.As(err, &closed) && closed.Code == websocket.CloseAbnormalClosure:
		return "browser_lost", lost
	case errors.As(err, &closed) && closed.Code == websocket.CloseNoStatusReceived:
		return "browser_closed", &Ending{Code: websocket.CloseNormalClosure}
	case errors.As(err, &closed):
		return "browser_closed", &Ending{closed.Code, closed.Text, err == errNotUTF8}
	case err == errTooSlow:
		return "slow", lost
	case errors.Is(err, websocket.ErrReadLimit):
		return "message_too_long", &Ending{websocket.CloseMessageTooBig, "the message is too long", true}
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.As(err, new(*net.OpError)),
		errors.As(err, new(*fs.PathError)), errors.As(err, new(syscall.Errno)):
		return "browser_lost", lost
	}
	return "protocol_error", &Ending{websocket.CloseProtocolError, strings.TrimPrefix(err.Error(), "websocket: "), true}
}
