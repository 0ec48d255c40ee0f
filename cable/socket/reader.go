package socket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"
)

// reader is the way in from one browser. gorilla/websocket does the framing.
// Where the poller watches the socket, a goroutine and a buffer exist only
// while there is something to read; elsewhere the goroutine waits, and for the
// rest of a message that has begun it waits for Limits.MessageWait.
type reader struct {
	ws     *websocket.Conn
	socket *Socket
	buffer bufio.Reader // gorilla reads through it; its memory is lent, see lend
	fd     int          // the socket's, which the poller knows it by
	poller *poller      // nil: run returns at the end only
}

// Start begins to read, and to answer the browser's pings and its close frame.
// Upgrade has come before.
func (s *Socket) Start() {
	ws := s.reader.ws
	ws.SetReadLimit(s.all.limits.MessageBytes)
	ws.SetPingHandler(func(data string) error { s.keepPace(); s.Send(frame(pongFrame, data)); return nil }) // within a message
	ws.SetPongHandler(func(string) error { s.keepPace(); return nil })
	ws.SetCloseHandler(s.AnswerClose)
	s.reader.start(s.all.poller)
}

// AnswerClose answers a close frame as websocket-driver does.
func (s *Socket) AnswerClose(code int, text string) error {
	if code == websocket.CloseNoStatusReceived {
		code = websocket.CloseNormalClosure
	}
	s.SendClose(code, text)
	return nil
}

// start begins to read. The buffer has been lent for the handshake.
func (r *reader) start(p *poller) {
	if r.fd >= 0 {
		takeBack(&r.buffer)
		r.poller = p
		if p.watch(r) == nil {
			return
		}
		r.poller = nil
		lend(&r.buffer, r.socket)
	}
	go r.run()
}

// read is called when the socket has something to read.
func (r *reader) read() {
	lend(&r.buffer, r.socket)
	r.run()
}

// run reads messages until the socket has no more at hand.
func (r *reader) run() {
	for {
		text, err := r.message()
		if err != nil {
			if r.poller != nil {
				r.poller.forget(r)
			}
			takeBack(&r.buffer)
			r.end(err)
			return
		}
		r.socket.keepPace()
		if text != nil {
			r.socket.owner.Receive(text)
		}
		if r.poller != nil && r.buffer.Buffered() == 0 {
			takeBack(&r.buffer)
			r.poller.arm(r)
			return
		}
	}
}

// message returns the next text. It returns nil for a ping or a pong, and for a
// binary message, which Rails' own server does not understand either.
func (r *reader) message() (text []byte, err error) {
	if r.poller == nil {
		r.buffer.Peek(1) // nothing has begun: as long as it takes
	}
	limits := &r.socket.all.limits
	begun, wait := time.Now(), limits.MessageWait
	r.socket.SetReadDeadline(begun.Add(wait))
	defer r.socket.SetReadDeadline(time.Time{})
	if r.heartbeat() {
		return nil, nil
	}
	kind, from, err := r.ws.NextReader()
	if err == nil {
		if r.socket.deflates { // gorilla counts the bytes that come, and not what they become
			from = io.LimitReader(from, limits.MessageBytes+1)
		}
		text, err = io.ReadAll(from)
	}
	switch {
	case err != nil && time.Since(begun) >= wait:
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

// heartbeat takes a ping or a pong, if that is what comes first. gorilla would
// then wait for a message, which may never come. All else it takes, and so
// whatever is wrong with a frame.
func (r *reader) heartbeat() (taken bool) {
	head, err := r.buffer.Peek(2)
	if err != nil {
		return false
	}
	kind, masked, size := head[0], head[1]&0x80 != 0, int(head[1]&0x7f)
	if kind != pingFrame && kind != pongFrame || !masked || size > 125 {
		return false
	}
	whole, err := r.buffer.Peek(2 + 4 + size)
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
	r.buffer.Discard(len(whole))
	return true
}

// end reports that the browser can be read no more, and closes the socket.
func (r *reader) end(err error) {
	s := r.socket
	if err == errNotUTF8 {
		s.SendClose(errNotUTF8.Code, errNotUTF8.Text)
	}
	s.finish(nil)
	reason, with := endReason(err)
	s.owner.End(reason, with)
	r.ws = nil // Rails may take a while to hear of the end
	if reason == "browser_closed" || reason == "browser_lost" {
		s.Close()
		return
	}
	// What the browser still sends would reset the connection, and our close
	// frame with it.
	time.AfterFunc(time.Second, func() { s.Close() })
}

var errNotUTF8 = &websocket.CloseError{Code: websocket.CloseInvalidFramePayloadData, Text: "Could not decode a text frame as UTF-8"}

// errTooSlow is a message of which the rest has not come in time: it holds
// memory.
var errTooSlow = errors.New("the rest of a message has not come")

// lend gives an empty reader memory. gorilla holds the *bufio.Reader for good,
// so it is its content that is swapped.
func lend(empty *bufio.Reader, source io.Reader) {
	lent := buffers.Get().(*bufio.Reader)
	lent.Reset(source)
	*empty, *lent = *lent, bufio.Reader{}
	husks.Put(lent)
}

// takeBack is lend's reverse. Nothing may be buffered.
func takeBack(full *bufio.Reader) {
	back := husks.Get().(*bufio.Reader)
	*back, *full = *full, bufio.Reader{}
	back.Reset(nil)
	buffers.Put(back)
}

// buffers are what is lent; husks are readers whose memory is lent.
var (
	buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}
	husks   = sync.Pool{New: func() any { return new(bufio.Reader) }}
)

// endReason says how reading ended, in one word for logs and metrics, and for
// the application.
func endReason(err error) (reason string, with *Ending) {
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
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.As(err, new(*net.OpError)):
		return "browser_lost", lost
	}
	return "protocol_error", &Ending{websocket.CloseProtocolError, strings.TrimPrefix(err.Error(), "websocket: "), true}
}
