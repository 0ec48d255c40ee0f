package socket

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/cable/internal/patience"
)

// FuzzFrames checks that whatever a browser sends, its messages are UTF-8 and within MessageBytes,
// and reading ends.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x81\x82\x01\x02\x03\x04\x7a\x7f"), false)
	f.Add([]byte("\x01\x81\x01\x02\x03\x04\x7a\x00\x80\x01\x02\x03\x04\x89\x80\x01\x02\x03\x04\x80\x81\x01\x02\x03\x04\x7c"), false)
	f.Add([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04"), false)
	f.Add([]byte("\xc1\x83\x00\x00\x00\x00\xaa\x06\x00"), true)
	f.Add([]byte("\x88\x82\x00\x00\x00\x00\x03\xe8"), false)
	const limit = 4096
	all, err := NewSockets(Options{Limits: Limits{MessageBytes: limit, PendingBytes: 1 << 30, MessageWait: patience.Deadline}, Compress: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, sent []byte, compressed bool) {
		near, far := net.Pipe()
		defer near.Close()
		go func() { far.Write(sent); far.Close() }()
		s := &Socket{}
		s.Init(all, nobody{})
		r := httptest.NewRequest("GET", "/cable", nil)
		for name, value := range map[string]string{"Connection": "upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
			r.Header.Set(name, value)
		}
		if compressed {
			r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
		}
		err := s.Upgrade(&piped{httptest.NewRecorder(), near}, r, "")
		if err != nil {
			t.Fatal(err)
		}
		s.reader.borrowParser()
		for {
			text, err := s.reader.message()
			if err != nil {
				break
			}
			if len(text) > limit || !utf8.Valid(text) {
				t.Fatalf("got %d bytes: %q", len(text), text)
			}
		}
	})
}

// piped is a ResponseWriter over a net.Pipe.
type piped struct {
	http.ResponseWriter
	conn net.Conn
}

func (p *piped) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return p.conn, bufio.NewReadWriter(bufio.NewReader(p.conn), bufio.NewWriter(p.conn)), nil
}

// nobody is an Owner that does nothing.
type nobody struct{}

func (nobody) Receive([]byte)      {}
func (nobody) Slow()               {}
func (nobody) End(string, *Ending) {}
