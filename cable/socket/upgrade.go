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

// Upgrade takes the connection over from net/http and queues the 101 until Uncork.
// subprotocol may be "".
func (s *Socket) Upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) error {
	s.deflates = s.shared.compress && offersDeflate(r)
	upgrader := &plain
	if s.deflates {
		upgrader = &compressing
	}
	ws, err := upgrader.Upgrade(&hijacker{w, s}, &stubRequest, nil)
	if err != nil {
		s.Close()
		return err
	}
	s.Send(s.switchingProtocols(r, subprotocol))
	s.reader.ws = ws
	s.reader.fd = s.fd
	return nil
}

// stubRequest is the handshake that gorilla answers in place of the browser's; Write drops the
// answer. Gorilla is stricter than Rails: it rejects a key that is not the base64 of 16 bytes.
var stubRequest = http.Request{Method: http.MethodGet, Header: http.Header{
	"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"},
	"Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Extensions": {"permessage-deflate"},
}}

// switchingProtocols returns the 101 for this browser.
func (s *Socket) switchingProtocols(r *http.Request, subprotocol string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
	key := strings.Join(r.Header.Values("Sec-WebSocket-Key"), ", ")
	accept := sha1.Sum([]byte(key + guid))
	b := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: ")
	b = base64.StdEncoding.AppendEncode(b, accept[:])
	if subprotocol != "" {
		b = append(b, "\r\nSec-WebSocket-Protocol: "...)
		b = append(b, subprotocol...)
	}
	if s.deflates {
		b = append(b, "\r\nSec-WebSocket-Extensions: permessage-deflate; "+
			"server_no_context_takeover; client_no_context_takeover"...)
	}
	return append(b, "\r\n\r\n"...)
}

// plain and compressing differ in whether gorilla decompresses what it reads.
var (
	plain       = websocket.Upgrader{CheckOrigin: anyOrigin, WriteBufferPool: noBuffers{}}
	compressing = websocket.Upgrader{CheckOrigin: anyOrigin, WriteBufferPool: noBuffers{}, EnableCompression: true}
)

// anyOrigin allows every origin: it has been checked before.
func anyOrigin(*http.Request) bool { return true }

// noBuffers is an empty pool: gorilla writes only control frames, for which it needs no buffer.
type noBuffers struct{}

func (noBuffers) Get() any { return nil }
func (noBuffers) Put(any)  {}

// hijacker gives gorilla our Socket and a pooled buffer. With net/http's, every connection would
// keep four kilobytes in each direction.
type hijacker struct {
	http.ResponseWriter
	socket *Socket
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.socket.Attach(conn)
	buffer := &h.socket.reader.buffer
	if rw.Reader.Buffered() > 0 { // gorilla rejects data before the 101
		return h.socket, rw, nil
	}
	attachBuffer(buffer, h.socket) // reader.start detaches it
	return h.socket, bufio.NewReadWriter(buffer, bufio.NewWriterSize(h.socket, 512)), nil
}
