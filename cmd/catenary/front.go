package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// front is the listener for browsers. It answers from the start, with 503 until
// it is open: who comes early is told, and not left waiting.
type front struct {
	server  *http.Server
	handler atomic.Pointer[http.Handler]
	calm    atomic.Pointer[func()]
}

func newFront(log *slog.Logger) *front {
	f := &front{}
	f.server = &http.Server{
		Handler: f, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return f
}

// open sends requests to the handler from now on. calm is called before each
// accept, and returns when there is room for one more.
func (f *front) open(handler http.Handler, calm func()) {
	f.calm.Store(&calm)
	f.handler.Store(&handler)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := f.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "2")
	http.Error(w, "catenary waits for Rails to start", http.StatusServiceUnavailable)
}

func (f *front) serve(listener net.Listener) error {
	if err := f.server.Serve(&patient{listener, f}); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving browsers on %s: %w", listener.Addr(), err)
	}
	return nil
}

func (f *front) close() { f.server.Close() }

// patient is a listener that accepts when things are calm.
type patient struct {
	net.Listener
	front *front
}

func (p *patient) Accept() (net.Conn, error) {
	if calm := p.front.calm.Load(); calm != nil {
		(*calm)()
	}
	return p.Listener.Accept()
}
