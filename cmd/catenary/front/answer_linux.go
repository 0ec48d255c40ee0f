package front

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/cable/socket/descriptor"
)

// answer is the ResponseWriter of a visitor's handshake. Only the 101 keeps the connection open.
type answer struct {
	fd       int
	hijacked bool
	header   http.Header
	status   int
	body     bytes.Buffer
}

func (a *answer) Header() http.Header {
	if a.header == nil {
		a.header = http.Header{}
	}
	return a.header
}

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}

// unread is the reader of every hijacked connection: nothing is buffered.
var unread = bufio.NewReadWriter(bufio.NewReader(strings.NewReader("")), nil)

// Hijack returns a socket.Descriptor.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	a.hijacked = true
	return socket.Descriptor{FD: a.fd}, unread, nil
}

// lingering is how long a connection on which the browser has sent something stays open after the
// answer: if it were closed, the browser's kernel might drop the answer (net/http waits as long).
const lingering = 500 * time.Millisecond

// send sends the answer, and returns when the connection may be closed.
func (a *answer) send() {
	text := a.encode()
	n, broken := descriptor.Write(a.fd, text)
	if broken {
		return
	}
	if n < len(text) {
		a.sendSlowly(text[n:])
	}
	descriptor.CloseWrite(a.fd)
	n, _ = descriptor.Read(a.fd, make([]byte, 512))
	if n > 0 {
		time.Sleep(lingering)
	}
}

// sendSlowly waits for the browser. It works with a duplicate of the descriptor, which it closes.
func (a *answer) sendSlowly(text []byte) {
	fd, err := descriptor.Duplicate(a.fd)
	if err != nil {
		return
	}
	file := os.NewFile(uintptr(fd), "browser")
	defer file.Close()
	file.SetWriteDeadline(time.Now().Add(stallTimeout))
	file.Write(text)
}

// encode returns the answer as net/http would write it, but with Connection: close.
func (a *answer) encode() []byte {
	a.WriteHeader(http.StatusOK)
	header := a.Header()
	if header["Date"] == nil {
		header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	}
	response := http.Response{StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Close: true}
	switch {
	case a.status == http.StatusNoContent:
	case a.status == http.StatusNotModified:
		header.Del("Content-Type")
	default:
		response.Body = io.NopCloser(&a.body)
		response.ContentLength = int64(a.body.Len())
		if header["Content-Type"] == nil && header["Content-Encoding"] == nil && a.body.Len() > 0 {
			header.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
		}
	}
	var text bytes.Buffer
	response.Write(&text)
	return text.Bytes()
}
