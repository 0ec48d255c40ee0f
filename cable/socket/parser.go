package socket

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/socket/descriptor"
	"github.com/gorilla/websocket"
)

// parser parses a browser's frames with gorilla/websocket. It is gorilla's net.Conn and reads from
// the socket that has borrowed it. Between messages gorilla's connection has no state, so the next
// socket can have it. That is not true where gorilla decompresses: it may leave the end of a message
// unread. Such a socket keeps its parser, without the buffer.
type parser struct {
	*Socket // nil: it is not borrowed
	ws      *websocket.Conn
	buffer  bufio.Reader // gorilla reads through it

	text []byte // reused for each message up to keptText

	deadline time.Time // of the message that has begun; zero: none has
	timed    bool      // deadline is set on the socket
}

// parsers is a pool of parsers that do not decompress.
var parsers = sync.Pool{New: func() any { return newParser(&plain) }}

func (r *reader) borrowParser() {
	switch {
	case r.parser != nil:
		attachBuffer(&r.parser.buffer, r.parser)
		return
	case r.socket.deflates:
		r.parser = newParser(&inflating)
	default:
		r.parser = parsers.Get().(*parser)
	}
	r.parser.Socket = r.socket
	r.parser.ws.SetReadLimit(r.socket.shared.limits.MessageBytes)
}

// returnParser must be called between messages, with nothing buffered.
func (r *reader) returnParser() {
	if r.socket.deflates {
		detachBuffer(&r.parser.buffer)
		r.parser.text = nil
		return
	}
	r.parser.Socket = nil
	parsers.Put(r.parser)
	r.parser = nil
}

// plain and inflating differ in whether gorilla decompresses what it reads.
var (
	plain     = websocket.Upgrader{CheckOrigin: anyOrigin, WriteBufferPool: noBuffers{}}
	inflating = websocket.Upgrader{CheckOrigin: anyOrigin, WriteBufferPool: noBuffers{}, EnableCompression: true}
)

// anyOrigin allows every origin: it has been checked before.
func anyOrigin(*http.Request) bool { return true }

// noBuffers is an empty pool: gorilla writes only control frames, for which it needs no buffer.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// stubRequest is the handshake with which gorilla makes a connection; the browser's is answered by
// Upgrade. Gorilla is stricter than Rails: it rejects a key that is not the base64 of 16 bytes.
var stubRequest = http.Request{Method: http.MethodGet, Header: http.Header{
	"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
	"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Extensions": {"permessage-deflate"},
}}

// stubResponse gives gorilla the parser as its connection.
type stubResponse struct {
	http.ResponseWriter
	parser *parser
}

func (w stubResponse) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	p := w.parser
	return p, bufio.NewReadWriter(&p.buffer, bufio.NewWriterSize(p, 512)), nil
}

func newParser(upgrader *websocket.Upgrader) *parser {
	p := &parser{}
	attachBuffer(&p.buffer, p)
	p.ws, _ = upgrader.Upgrade(stubResponse{parser: p}, &stubRequest, nil) // cannot fail
	p.ws.SetPingHandler(func(data string) error {                          // for pings inside a message; see controlFrame
		p.throttle()
		p.Send(frame(pongFrame, data))
		return nil
	})
	p.ws.SetPongHandler(func(string) error { p.throttle(); return nil })
	p.ws.SetCloseHandler(func(code int, text string) error { return p.AnswerClose(code, text) })
	return p
}

// Read sets the deadline of the message that has begun only if it must wait for the rest.
func (p *parser) Read(b []byte) (int, error) {
	if p.reader.watched {
		n, err := descriptor.Read(int(p.reader.fd), b)
		if n > 0 || err != nil {
			return n, err
		}
	}
	conn := p.blocking()
	if !p.timed && !p.deadline.IsZero() {
		p.timed = true
		conn.SetReadDeadline(p.deadline)
	}
	return conn.Read(b)
}

// keptText is the capacity up to which a parser keeps a message's memory for the next one.
const keptText = 4096

// readAll reads a message. It is valid until the next call.
func (p *parser) readAll(from io.Reader) ([]byte, error) {
	b := p.text[:0]
	for {
		b = slices.Grow(b, 512)
		n, err := from.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == nil {
			continue
		}
		if cap(b) <= keptText {
			p.text = b
		}
		if err == io.EOF {
			err = nil
		}
		return b, err
	}
}

func (p *parser) clearDeadline() {
	if p.timed {
		p.timed = false
		p.blocking().SetReadDeadline(time.Time{})
	}
	p.deadline = time.Time{}
}

// Write is for gorilla, which writes close frames after protocol errors and may reuse b. It drops the
// answer to stubRequest.
func (p *parser) Write(b []byte) (int, error) {
	if p.Socket != nil && !p.Send(append([]byte(nil), b...)) {
		return 0, net.ErrClosed
	}
	return len(b), nil
}

// The rest of net.Conn. Deadlines of writes are of no use: Send does not block.
func (p *parser) LocalAddr() net.Addr              { return nil }
func (p *parser) RemoteAddr() net.Addr             { return nil }
func (p *parser) SetDeadline(time.Time) error      { return nil }
func (p *parser) SetReadDeadline(time.Time) error  { return nil }
func (p *parser) SetWriteDeadline(time.Time) error { return nil }

// Pools of buffered readers with and without memory. Gorilla keeps a pointer to its bufio.Reader, so
// attaching a buffer swaps the content of two readers.
var (
	buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4096) }}
	empties = sync.Pool{New: func() any { return new(bufio.Reader) }}
)

// attachBuffer gives a reader memory from the pool.
func attachBuffer(r *bufio.Reader, source io.Reader) {
	pooled := buffers.Get().(*bufio.Reader)
	pooled.Reset(source)
	*r, *pooled = *pooled, bufio.Reader{}
	empties.Put(pooled)
}

// detachBuffer returns a reader's memory to the pool, and drops what is buffered.
func detachBuffer(r *bufio.Reader) {
	pooled := empties.Get().(*bufio.Reader)
	*pooled, *r = *r, bufio.Reader{}
	pooled.Reset(nil)
	buffers.Put(pooled)
}
