package socket

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"net"
	"net/http"
	"strings"

	"github.com/gorilla/websocket"
)

// Upgrade answers the handshake with the 101, which waits for Uncork. protocol is
// the sub-protocol, "" if there is none.
func (s *Socket) Upgrade(w http.ResponseWriter, r *http.Request, protocol string) error {
	s.deflates = s.all.compress && offersDeflate(r)
	upgrader := &plain
	if s.deflates {
		upgrader = &compressing
	}
	ws, err := upgrader.Upgrade(&hijacked{w, s}, &usual, nil)
	if err != nil {
		s.Close()
		return err
	}
	s.Send(s.switching(r, protocol))
	s.reader.ws, s.reader.fd = ws, s.fd
	return nil
}

// usual is the handshake that gorilla answers, to nobody. It is stricter than
// Rails: of a browser's key it asks that it be the base64 of 16 bytes.
var usual = http.Request{Method: http.MethodGet, Header: http.Header{
	"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
	"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Extensions": {"permessage-deflate"},
}}

// switching is the 101 for this browser.
func (s *Socket) switching(r *http.Request, protocol string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
	key := strings.Join(r.Header.Values("Sec-WebSocket-Key"), ", ")
	proof := sha1.Sum([]byte(key + guid))
	b := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b = base64.StdEncoding.AppendEncode(b, proof[:])
	if protocol != "" {
		b = append(append(b, "\r\nSec-WebSocket-Protocol: "...), protocol...)
	}
	if s.deflates {
		b = append(b, "\r\nSec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover"...)
	}
	return append(b, "\r\n\r\n"...)
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
