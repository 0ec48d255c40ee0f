package rpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// wire is one keep-alive connection to Puma. Because Puma's worker processes
// accept for themselves, a wire always leads to the same process, which is how
// a browser's calls return to the objects that know it.
type wire struct {
	net.Conn
	reader  *bufio.Reader
	boot    string    // the process at the other end, once it has answered
	closing bool      // Rails closes it after its answer
	idle    time.Time // since when

	head, body []byte       // of the request
	answer     bytes.Buffer // the last one
}

// post sends one request and reads its answer, which is the wire's until the
// next post. sent is false if no byte of the request left, so that it may be
// tried elsewhere.
func (w *wire) post(deadline time.Time, limit int64) (answer []byte, sent bool, err error) {
	w.SetDeadline(deadline)
	buffers := net.Buffers{w.head, w.body}
	if n, err := buffers.WriteTo(w.Conn); err != nil {
		return nil, n > 0, fmt.Errorf("sending the call: %w", err)
	}
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return nil, true, fmt.Errorf("reading Rails' answer: %w", err)
	}
	defer response.Body.Close()
	if w.answer.Cap() > keptBuffer {
		w.answer = bytes.Buffer{}
	}
	w.answer.Reset()
	if _, err := w.answer.ReadFrom(io.LimitReader(response.Body, limit+1)); err != nil {
		return nil, true, fmt.Errorf("reading Rails' answer: %w", err)
	}
	if int64(w.answer.Len()) > limit {
		return nil, true, fmt.Errorf("reading Rails' answer: it is longer than %d bytes", limit)
	}
	w.closing = response.Close
	if response.StatusCode != http.StatusOK {
		text, _, _ := strings.Cut(strings.TrimSpace(w.answer.String()), "\n")
		return nil, true, &StatusError{response.StatusCode, text[:min(len(text), 200)]}
	}
	return w.answer.Bytes(), true, nil
}

// keptBuffer is how much memory a wire keeps for the next call.
const keptBuffer = 64 << 10

// prepare writes the request of some calls. The traceparent may be empty.
func (w *wire) prepare(host string, s *signer, node, traceparent string, calls []Call, now time.Time) {
	if cap(w.body) > keptBuffer {
		w.body = nil
	}
	w.body = appendRequest(w.body[:0], node, calls)
	b := append(w.head[:0], "POST /_catenary HTTP/1.1\r\nHost: "...)
	b = append(b, host...)
	b = append(b, "\r\nContent-Type: application/json\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(w.body)), 10)
	b = append(b, "\r\n"...)
	if traceparent != "" {
		b = append(append(append(b, "traceparent: "...), traceparent...), "\r\n"...)
	}
	b = s.appendHeaders(b, w.body, now)
	w.head = append(b, "\r\n"...)
}

// alive tells whether the other end has left the wire open while it was idle.
func (w *wire) alive() bool {
	if time.Since(w.idle) > idleFor {
		return false
	}
	conn, ok := w.Conn.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	var peek [1]byte
	if raw.Read(func(fd uintptr) bool {
		n, _, err = syscall.Recvfrom(int(fd), peek[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return true
	}) != nil {
		return false
	}
	return n <= 0 && errors.Is(err, syscall.EAGAIN) // a byte out of turn or an end is no wire to trust
}
