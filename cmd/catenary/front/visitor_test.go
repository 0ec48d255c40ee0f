//go:build linux

package front

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/catenary-cable/catenary/config"
)

const plainHandshake = "GET /cable?a=1 HTTP/1.1\r\nHost: a.example:80\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Key: x\r\nCookie: a=1\r\ncookie: b=2\r\n\r\n"

// door is a Front with a handler of its own for the cable.
type door struct {
	*Front
	t         *testing.T
	admission *admission.Admission
}

func newDoor(t *testing.T, timeout time.Duration, cable http.HandlerFunc) *door {
	t.Helper()
	return openDoor(t, false, timeout, cable)
}

func openDoor(t *testing.T, lent bool, timeout time.Duration, cable http.HandlerFunc) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	d := &door{
		Front: New(listener, lent, false, config.Limits{HeaderTimeout: timeout, HeaderBytes: 64 << 10}, log), t: t,
		admission: admission.New(admission.Options{Limits: admission.Limits{ConnectionsPerAddress: 2}, Log: log}),
	}
	sockets, err := socket.NewSockets(socket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	router := &Router{paths: []string{"/cable"}, cable: cable, rest: cable}
	d.Open(router, d.admission, sockets.Poller())
	served := make(chan error, 2)
	go func() { served <- sockets.Run(t.Context()) }()
	go func() { served <- d.Serve(t.Context()) }()
	t.Cleanup(func() {
		d.Close()
		for range 2 {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
	})
	return d
}

func (d *door) dial() net.Conn {
	d.t.Helper()
	conn, err := net.Dial("tcp", d.Addr().String())
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	conn.SetReadDeadline(time.Now().Add(stage.Patience))
	return conn
}

// places returns how many more connections the address may have. None may come meanwhile.
func (d *door) places() (n int) {
	local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	for d.admission.Admit(local) {
		n++
	}
	for range n {
		d.admission.Release(local)
	}
	return n
}

// byNetHTTP reports whether net/http serves a request.
func byNetHTTP(r *http.Request) bool { return r.Context().Value(http.ServerContextKey) != nil }

func TestVisitor_IsServedAsNetHTTPWould(t *testing.T) {
	served := make(chan *http.Request, 1)
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) {
		served <- r
		switch r.URL.Query().Get("a") {
		case "1":
			w.Header().Set("X-A", "b")
			w.WriteHeader(http.StatusTeapot)
			io.WriteString(w, "<html>")
		case "2":
			w.WriteHeader(http.StatusNoContent)
			io.WriteString(w, "<html>")
		case "3":
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusNotModified)
			io.WriteString(w, "<html>")
		case "4":
			w.Header()["Set-Cookie"] = []string{"a=1", "b=2"}
			w.Header().Set("Location", "/sign_in")
			w.Header().Set("Date", time.Unix(1, 0).UTC().Format(http.TimeFormat))
			w.WriteHeader(http.StatusFound)
		case "5":
			w.Header().Set("Content-Encoding", "gzip")
			io.WriteString(w, "<html>")
		}
	})
	for _, query := range []string{"a=1", "a=2", "a=3", "a=4", "a=5", "a=6"} {
		var requests [2]*http.Request
		var responses [2]*http.Response
		var bodies [2]string
		for i, after := range []string{"", "G"} { // with something after its head a handshake is not plain
			conn := d.dial()
			io.WriteString(conn, strings.Replace(plainHandshake, "a=1 ", query+" ", 1)+after)
			requests[i] = <-served
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			responses[i], bodies[i] = response, string(body)
			conn.Close() // the address may have two
			if byNetHTTP(requests[i]) != (i == 1) {
				t.Errorf("%q after the head: served by net/http: %t", after, byNetHTTP(requests[i]))
			}
		}
		if a, b := described(requests[0]), described(requests[1]); a != b {
			t.Errorf("%s: the requests are\n%s\n%s", query, a, b)
		}
		for _, response := range responses {
			date, err := http.ParseTime(response.Header.Get("Date"))
			if err != nil {
				t.Error(err)
			}
			if date.Unix() != 1 { // the answer's own
				response.Header.Del("Date")
			}
		}
		if !reflect.DeepEqual(responses[0].Header, responses[1].Header) || bodies[0] != bodies[1] || responses[0].Status != responses[1].Status {
			t.Errorf("%s: the responses are\n%s %v %q\n%s %v %q", query, responses[0].Status, responses[0].Header, bodies[0],
				responses[1].Status, responses[1].Header, bodies[1])
		}
	}
}

func described(r *http.Request) string {
	host, port, _ := net.SplitHostPort(r.RemoteAddr)
	return fmt.Sprint(r.Method, r.URL, r.Host, r.RequestURI, r.Proto, host, port != "", len(r.Header), r.Header)
}

// FuzzHandshake checks that what is taken for a plain handshake is the same request for net/http.
func FuzzHandshake(f *testing.F) {
	for _, change := range [][2]string{
		{"", ""}, {"HTTP/1.1", "HTTP/1.0"}, {"/cable", "http://b/cable"}, {"/cable", "//cable"}, {"/cable", "/c%zz"}, {"GET", "POST"}, {"GET", "get"},
		{"Host: a.example:80", ""}, {"Host: a.example:80", "Host: a\r\nhost: b"}, {"a.example", "a b"}, {"a.example", "ä"}, {"a.example:80", "[::1]:80"},
		{"a.example", "a%zone"}, {"Cookie: a=1", "Co okie: a"}, {"Cookie: a=1", "Cookie : a"}, {"Cookie: a=1", "Cookie"}, {"Cookie: a=1", "Cookie: \x00"},
		{"Cookie: a=1", "Cookie: a\n b"}, {"Cookie: a=1", "Cookie: a\r\n b"}, {"Cookie: a=1", "Content-Length: 5"}, {"Cookie: a=1", "Content-Length: x"},
		{"Cookie: a=1", "Transfer-Encoding: chunked"}, {"Cookie: a=1", "Expect: 100-continue"}, {"Cookie: a=1", "Expect: x"}, {"Cookie: a=1", ": x"},
		{"Cookie: a=1", "Upgrade: h2c"}, {"websocket", "h2c"}, {"Cookie: a=1", "Trailer: x"}, {"Cookie: a=1", "Connection: close"}, {"\r\n\r\n", "\r\n\r\n\x81"},
		{"a.example:80", "a\u00a0"}, {"a.example:80", "\u3000a"}, {"a.example:80", "a\u0085"}, {"\r\nCookie", "\nCookie"}, {"\r\n\r\n", "\n\n"}, {"Cookie: a=1", "ä: 1"}, {"Cookie: a=1", "Pragma: no-cache"}, {"GET /cable?a=1", "PRI *"},
	} {
		f.Add([]byte(strings.Replace(plainHandshake, change[0], change[1], 1)))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		h := &head{lines: bufio.NewReader(nil)}
		if len(text) > len(h.buffer) {
			return
		}
		ours := h.handshake(copy(h.buffer[:], text))
		if ours == nil {
			return
		}
		seen := make(chan *http.Request, 1)
		here, there := net.Pipe()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r })}
		server.SetKeepAlivesEnabled(false)
		pipe := &oneConn{conn: there, closed: make(chan struct{})}
		go server.Serve(pipe)
		defer server.Close()
		go here.Write(text)
		io.Copy(io.Discard, here)
		select {
		case theirs := <-seen:
			theirs.RemoteAddr = ours.RemoteAddr
			if a, b := described(ours), described(theirs); a != b {
				t.Errorf("%q is\n%s\n%s", text, a, b)
			}
		default:
			t.Errorf("net/http rejects %q", text)
		}
	})
}

// oneConn is a listener with one connection.
type oneConn struct {
	conn   net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.closed); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func TestVisitor_IsClosedIfItSendsNothing(t *testing.T) {
	d := newDoor(t, 200*time.Millisecond, nil)
	if n, err := d.dial().Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %d bytes, %v", n, err)
	}
	if !stage.Await(func() bool { return d.places() == 2 }) {
		t.Error("the connection still counts")
	}
}

func TestVisitor_CostsNoGoroutineWhileItIsSilent(t *testing.T) {
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) {})
	served := d.dial() // by now everything is running
	io.WriteString(served, plainHandshake)
	io.Copy(io.Discard, served)
	before := runtime.NumGoroutine()
	silent := []net.Conn{d.dial(), d.dial()}
	if _, err := d.dial().Read(make([]byte, 1)); err != io.EOF { // by now the others have been accepted
		t.Errorf("the address may have a third connection: %v", err)
	}
	if !stage.Await(func() bool { return runtime.NumGoroutine() <= before }) {
		t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
	}
	io.WriteString(silent[0], plainHandshake)
	if answer, err := io.ReadAll(silent[0]); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 200 OK\r\n") {
		t.Errorf("got %q, %v", answer, err)
	}
}

func TestVisitor_CancelsTheHandshakeOfABrowserThatLeaves(t *testing.T) {
	began, ended := make(chan bool), make(chan bool)
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		<-r.Context().Done()
		ended <- true
	})
	for range 3 { // more than the address may have at once
		conn := d.dial()
		io.WriteString(conn, plainHandshake)
		<-began
		conn.Close()
		<-ended
	}
	io.WriteString(d.dial(), plainHandshake)
	<-began
	go d.Close()
	<-ended
}

func TestVisitor_HasItsAddressAlsoAfterAReset(t *testing.T) {
	const visits = 50
	addresses := make(chan string, visits)
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) { addresses <- r.RemoteAddr })
	for range visits {
		conn := d.dial()
		io.WriteString(conn, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
		conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
		if !stage.Await(func() bool { return d.places() == 2 }) {
			t.Fatal("a place stays taken")
		}
	}
	if len(addresses) == 0 {
		t.Error("no request has arrived")
	}
	for range len(addresses) {
		if seen := <-addresses; !strings.HasPrefix(seen, "127.0.0.1:") {
			t.Errorf("got %q", seen)
		}
	}
}

func TestVisitor_CountsOnceWhenItGoesToNetHTTP(t *testing.T) {
	served := make(chan bool)
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) { served <- true })
	for range 100 { // of which the address may have two at once
		first, second := d.dial(), d.dial()
		for _, conn := range []net.Conn{first, second} {
			io.WriteString(conn, "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		}
		for range 2 {
			select {
			case <-served:
			case <-time.After(stage.Patience):
				t.Fatal("a connection was rejected")
			}
		}
		io.Copy(io.Discard, first)
		io.Copy(io.Discard, second)
		first.Close()
		second.Close()
		if !stage.Await(func() bool { return d.places() == 2 }) {
			t.Fatal("a place stays taken")
		}
	}
}

func TestVisitor_GetsItsAnswerAlsoIfItHasSentMore(t *testing.T) {
	began, answer := make(chan bool), make(chan bool)
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) {
		began <- true
		<-answer
		http.Error(w, "no", http.StatusForbidden)
	})
	conn := d.dial()
	io.WriteString(conn, plainHandshake)
	<-began
	io.WriteString(conn, "\x81\x01early")
	time.Sleep(50 * time.Millisecond) // it arrives before the answer
	answer <- true
	if text, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(text), "\r\n\r\nno\n") {
		t.Errorf("got %q, %v", text, err)
	}
}

func TestVisitor_GetsALongAnswerAtItsOwnPace(t *testing.T) {
	const size = 20 << 20
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, size)) })
	conn := d.dial()
	io.WriteString(conn, plainHandshake)
	time.Sleep(50 * time.Millisecond)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, response.Body); n != size || err != nil {
		t.Errorf("got %d bytes, %v", n, err)
	}
}

func TestVisitor_EndsAloneAfterAPanic(t *testing.T) {
	d := newDoor(t, stage.Patience, func(w http.ResponseWriter, r *http.Request) { panic("on purpose") })
	for range 3 { // more than the address may have at once
		conn := d.dial()
		io.WriteString(conn, plainHandshake)
		if text, err := io.ReadAll(conn); len(text) > 0 {
			t.Errorf("got %q, %v", text, err)
		}
		if !stage.Await(func() bool { return d.places() == 2 }) {
			t.Fatal("the place stays taken")
		}
	}
}

func TestFront_LeavesItsPortWithoutHavingServed(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := New(listener, false, false, config.Limits{}, slog.New(slog.DiscardHandler))
	f.Close()
	again, err := net.Listen("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestFront_AnswersWhatItHasAcceptedBeforeItLeft(t *testing.T) {
	d := openDoor(t, true, stage.Patience, func(w http.ResponseWriter, r *http.Request) {})
	conn, later := d.dial(), d.dial()
	io.WriteString(later, plainHandshake)
	io.Copy(io.Discard, later) // by now both have been accepted
	d.Leave()
	for _, piece := range []string{plainHandshake[:10], plainHandshake[10:]} {
		io.WriteString(conn, piece)
		time.Sleep(50 * time.Millisecond) // the pieces arrive one by one
	}
	if response, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v", response, err)
	}
}
