package socket

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
)

// errEarlyData means that the browser has sent frames before the 101.
var errEarlyData = errors.New("the browser sent data before the handshake was complete")

// Upgrade takes the connection over from net/http and queues the 101 until Uncork.
// subprotocol may be "".
func (s *Socket) Upgrade(w http.ResponseWriter, r *http.Request, subprotocol string) error {
	s.deflates = s.shared.compress && offersDeflate(r)
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.Close()
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return err
	}
	s.Attach(conn)
	if buffered.Reader.Buffered() > 0 {
		s.Close()
		return errEarlyData
	}
	s.Send(s.switchingProtocols(r, subprotocol))
	return nil
}

// switchingProtocols returns the 101 for this browser.
func (s *Socket) switchingProtocols(r *http.Request, subprotocol string) []byte {
	const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
	key := strings.Join(r.Header.Values("Sec-WebSocket-Key"), ", ")
	accept := sha1.Sum([]byte(key + guid))
	b := make([]byte, 0, 256)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: "...)
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
