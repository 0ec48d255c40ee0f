package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// front is the listener for browsers. It answers from the start, with 503 until
// it is open: who comes early is told, and not left waiting. A listener that is
// lent stays open between us and our successor: there, who comes early or late
// waits in it, and is told nothing.
type front struct {
	listener net.Listener
	lent     bool
	server   *http.Server
	left     atomic.Bool

	opened  chan struct{} // closed by open
	handler atomic.Pointer[http.Handler]
	calm    atomic.Pointer[func()]
}

func newFront(listener net.Listener, lent bool, log *slog.Logger) *front {
	f := &front{listener: listener, lent: lent, opened: make(chan struct{})}
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
	close(f.opened)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := f.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "2")
	http.Error(w, "catenary waits for Rails to start", http.StatusServiceUnavailable)
}

func (f *front) serve(ctx context.Context) error {
	if f.lent {
		select {
		case <-f.opened:
		case <-ctx.Done():
			return nil
		}
	}
	err := f.server.Serve(&patient{f.listener, f})
	if errors.Is(err, http.ErrServerClosed) || f.left.Load() {
		return nil
	}
	return fmt.Errorf("serving browsers on %s: %w", f.listener.Addr(), err)
}

// leave lets those who come from now on wait for our successor, if there may be
// one, unless it is the whole web that comes.
func (f *front) leave(web bool) {
	if f.lent && !web {
		f.left.Store(true)
		f.listener.Close()
	}
}

// stop ends the listener. Requests of the web that are under way are seen through
// for as long as ctx allows; handshakes have been refused already.
func (f *front) stop(ctx context.Context, web bool) {
	if web {
		f.server.Shutdown(ctx)
	}
	f.server.Close()
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
