package front

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// serve aborts what stalls for timeout. It returns a function that connects and sends a request.
func serve(t *testing.T, timeout time.Duration, handler http.Handler) func(request string) (net.Conn, *bufio.Reader) {
	server := httptest.NewServer(abortStalled(handler, timeout))
	t.Cleanup(server.Close)
	return func(request string) (net.Conn, *bufio.Reader) {
		t.Helper()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		conn.SetReadDeadline(time.Now().Add(stage.Patience))
		io.WriteString(conn, request)
		return conn, bufio.NewReader(conn)
	}
}

func proxied(t *testing.T, rails http.HandlerFunc) http.Handler {
	app := httptest.NewServer(rails)
	t.Cleanup(app.Close)
	proxy, err := proxyTo(app.URL, nil, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	return proxy
}

func TestAbortStalled_GivesUpOnHalfABody(t *testing.T) {
	half := "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nx"
	cut := make(chan error, 1)
	for name, handler := range map[string]http.Handler{
		"not read": http.NotFoundHandler(),
		"proxied":  proxied(t, func(w http.ResponseWriter, r *http.Request) { _, err := io.ReadAll(r.Body); cut <- err }),
	} {
		_, answer := serve(t, 200*time.Millisecond, handler)(half)
		if _, err := io.ReadAll(answer); err != nil {
			t.Errorf("%s: the connection stays open: %v", name, err)
		}
	}
	if err := <-cut; err == nil {
		t.Error("Rails has read the whole body")
	}
}

func TestAbortStalled_GivesUpOnAResponseThatNobodyReads(t *testing.T) {
	failed := make(chan error, 1)
	dial := serve(t, 200*time.Millisecond, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 1<<20)); err != nil {
				failed <- err
				return
			}
		}
	}))
	dial("GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
	select {
	case <-failed:
	case <-time.After(stage.Patience):
		t.Error("the write does not fail")
	}
}

// What is only slow is served: an upload in pieces, a handler that takes its time, a response in
// pieces, and the next request on the same connection.
func TestAbortStalled_ServesWhatMakesProgress(t *testing.T) {
	t.Parallel()
	const timeout = 2 * time.Second // eight times the pause between two pieces, for a busy machine
	conn, answer := serve(t, timeout, proxied(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		time.Sleep(5 * timeout / 4)
		for range 3 {
			fmt.Fprintf(w, "%d ", len(body))
			http.NewResponseController(w).Flush()
			time.Sleep(5 * timeout / 4)
		}
	}))("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
	go func() {
		for range 10 {
			time.Sleep(timeout / 8)
			io.WriteString(conn, "x")
		}
	}()
	for n := range 2 {
		response, err := http.ReadResponse(answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if want := strings.Repeat(fmt.Sprint(10-10*n, " "), 3); err != nil || string(body) != want {
			t.Fatalf("got %q %v", body, err)
		}
		time.Sleep(5 * timeout / 4)
		io.WriteString(conn, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n")
	}
}
