package socket

import (
	"bufio"
	"net"
	"net/http"

	"github.com/gorilla/websocket"
)

// Upgrade answers the handshake with the 101, which waits for Uncork.
func (s *Socket) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header) error {
	s.deflates = s.all.compress && offersDeflate(r)
	upgrader := &plain
	if s.deflates {
		upgrader = &compressing
	}
	ws, err := upgrader.Upgrade(&hijacked{w, s}, r, header)
	if err != nil {
		s.Close()
		return err
	}
	s.reader.ws, s.reader.fd = ws, s.fd
	return nil
}

// plain and compressing answer handshakes with the 101.
var (
	plain       = websocket.Upgrader{CheckOrigin: checked, WriteBufferPool: noBuffers{}}
	compressing = websocket.Upgrader{CheckOrigin: checked, WriteBufferPool: noBuffers{}, EnableCompression: true}
)

// checked is what Rails has done with the origin.
func checked(*http.Request) bool { return true }

// noBuffers is a pool that is never used: gorilla writes only control frames
// for us, and those without a buffer.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// hijacked gives gorilla our socket and our buffers in place of net/http's, whose
// four kilobytes each way every connection would keep.
type hijacked struct {
	http.ResponseWriter
	socket *Socket
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.socket.Attach(conn)
	buffer := &h.socket.reader.buffer
	if rw.Reader.Buffered() > 0 { // gorilla refuses what comes before the 101
		return h.socket, rw, nil
	}
	lend(buffer, h.socket) // until the 101 is written
	return h.socket, bufio.NewReadWriter(buffer, bufio.NewWriterSize(h.socket, 512)), nil
}
