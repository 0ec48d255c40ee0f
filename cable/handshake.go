package cable

import (
	"bufio"
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// upgradable tells whether a request asks for a WebSocket, by the three marks
// that Rails looks for (websocket-driver, WebSocket::Driver.websocket?).
func upgradable(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		listed(r.Header.Values("Connection"), "upgrade")
}

func listed(headers []string, word string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.TrimSpace(part), word) {
				return true
			}
		}
	}
	return false
}

// refuseMalformed answers a handshake that no WebSocket can come of.
func refuseMalformed(w http.ResponseWriter, r *http.Request) (refused bool) {
	if !listed(r.Header.Values("Sec-WebSocket-Version"), "13") {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "Unsupported WebSocket version: 13 is needed", http.StatusBadRequest)
		return true
	}
	if key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key")); err != nil || len(key) != 16 {
		http.Error(w, "Missing or malformed handshake request header: Sec-WebSocket-Key", http.StatusBadRequest)
		return true
	}
	return false
}

// pageNotFound is Rails' answer to what is no cable request.
func pageNotFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	w.Write([]byte("Page not found"))
}

// describe turns the browser's request into what Rails is told of it.
func describe(r *http.Request, path string) *rpc.Request {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	d := &rpc.Request{Method: r.Method, Headers: make([][2]string, 0, len(r.Header)+1)}
	d.URL = scheme + "://" + r.Host + path
	if r.URL.RawQuery != "" {
		d.URL += "?" + r.URL.RawQuery
	}
	d.IP, _, _ = net.SplitHostPort(r.RemoteAddr)
	d.Headers = append(d.Headers, [2]string{"Host", r.Host})
	for name, values := range r.Header {
		for _, value := range values {
			d.Headers = append(d.Headers, [2]string{name, value})
		}
	}
	return d
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
	socket     *socket
	buffer     *bufio.Reader
	unanswered time.Duration
}

func (h *hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.socket.Conn, h.socket.fd = conn, descriptor(conn, h.unanswered)
	if rw.Reader.Buffered() > 0 { // gorilla refuses what comes before the 101
		return h.socket, rw, nil
	}
	lend(h.buffer, h.socket) // until the 101 is written
	return h.socket, bufio.NewReadWriter(h.buffer, bufio.NewWriterSize(h.socket, 512)), nil
}
