//go:build linux

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

// send sends the answer and closes the connection.
func (a *answer) send() {
	file := os.NewFile(uintptr(a.fd), "browser")
	defer file.Close()
	file.SetWriteDeadline(time.Now().Add(stallTimeout))
	a.WriteHeader(http.StatusOK)
	header := a.Header()
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if header["Content-Type"] == nil && a.body.Len() > 0 {
		header.Set("Content-Type", http.DetectContentType(a.body.Bytes()))
	}
	response := http.Response{
		StatusCode: a.status, ProtoMajor: 1, ProtoMinor: 1, Header: header, Close: true,
		Body: io.NopCloser(&a.body), ContentLength: int64(a.body.Len()),
	}
	response.Write(file)
}
