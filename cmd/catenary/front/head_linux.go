package front

import (
	"bufio"
	"bytes"
	"net/http"
	"strings"
	"sync"
)

// head reads the head of one request.
type head struct {
	buffer [8 << 10]byte // browsers' handshakes are shorter
	bytes  bytes.Reader
	lines  *bufio.Reader
}

var heads = sync.Pool{New: func() any { return &head{lines: bufio.NewReaderSize(nil, 4<<10)} }}

// handshake returns the request in the first n bytes if it is a plain handshake, and nil if it is
// anything that net/http may treat differently from http.ReadRequest, or answer itself.
func (h *head) handshake(n int) *http.Request {
	text := h.buffer[:n]
	if !isHandshake(text) {
		return nil
	}
	h.bytes.Reset(text)
	h.lines.Reset(&h.bytes)
	r, err := http.ReadRequest(h.lines)
	if err != nil || r.ContentLength != 0 || len(r.TransferEncoding) > 0 || r.Header["Expect"] != nil {
		return nil
	}
	return r
}

// isHandshake reports whether a text is the head of a GET with an Upgrade header, with nothing after
// it and nothing unusual in it.
func isHandshake(text []byte) bool {
	lines, after, ended := bytes.Cut(text, []byte("\r\n\r\n"))
	endings := bytes.Count(text, []byte("\n"))
	if !ended || len(after) > 0 || !bytes.HasPrefix(text, []byte("GET /")) || endings != bytes.Count(text, []byte("\r\n")) {
		return false
	}
	request, lines, _ := bytes.Cut(lines, []byte("\r\n"))
	if !bytes.HasSuffix(request, []byte(" HTTP/1.1")) {
		return false
	}
	hosts, upgrades := 0, 0
	for line := range bytes.SplitSeq(lines, []byte("\r\n")) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !consistsOf(name, "-_") {
			return false
		}
		switch {
		case bytes.EqualFold(name, []byte("Host")):
			if !consistsOf(bytes.Trim(value, " \t"), "-._:[]") {
				return false
			}
			hosts++
		case bytes.EqualFold(name, []byte("Upgrade")):
			upgrades++
		}
	}
	return hosts == 1 && upgrades == 1
}

// consistsOf reports whether a text is not empty and has only ASCII letters, digits and these others.
func consistsOf(text []byte, others string) bool {
	for _, c := range text {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && strings.IndexByte(others, c) < 0 {
			return false
		}
	}
	return len(text) > 0
}
