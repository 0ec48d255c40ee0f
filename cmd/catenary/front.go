package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/config"
)

// front is the listener for browsers. It answers from the start, with 503 until
// it is open: who comes early is told, and not left waiting. A listener that is
// lent stays open between us and our successor: there, who comes early or late
// waits in it, and is told nothing.
type front struct {
	listener net.Listener
	lent     bool
	web      bool // pages come here too
	server   *http.Server
	left     atomic.Bool

	opened    chan struct{} // closed by the first open
	opening   sync.Once
	handler   atomic.Pointer[http.Handler]
	admission atomic.Pointer[admission.Admission] // nil until open

	admitted sync.Map // connections, until they are WebSockets or end
	begun    sync.Map // those that have begun a request, until it is there as a whole
}

func newFront(listener net.Listener, lent, web bool, limits config.Limits, log *slog.Logger) *front {
	f := &front{listener: listener, lent: lent, web: web, opened: make(chan struct{})}
	f.server = &http.Server{
		Handler: steadily(f, standstill), ReadHeaderTimeout: limits.HeaderTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: int(limits.HeaderBytes),
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ConnState: f.watch,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	return f
}

// connKey is where a request's context has its connection.
type connKey struct{}

// open sends requests to the handler from now on. admission is nil while only the
// web is served.
func (f *front) open(handler http.Handler, admission *admission.Admission) {
	f.admission.Store(admission)
	f.handler.Store(&handler)
	f.opening.Do(func() { close(f.opened) })
}

// waits answers browsers that want the cable before Rails has said what to do.
func waits(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "2")
	http.Error(w, "catenary waits for Rails to start", http.StatusServiceUnavailable)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.begun.Delete(r.Context().Value(connKey{}))
	if handler := f.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	waits(w, r)
}

// watch follows a connection until it is a WebSocket. It finds the requests, too,
// that net/http answers by itself or gives up: of these it tells the first byte,
// and the connection's end.
func (f *front) watch(conn net.Conn, state http.ConnState) {
	admission := f.admission.Load()
	if admission == nil {
		return
	}
	switch state {
	case http.StateNew:
		if !admission.Admit(conn.RemoteAddr()) {
			conn.Close()
			return
		}
		f.admitted.Store(conn, true)
	case http.StateActive:
		f.begun.Store(conn, true)
	case http.StateHijacked, http.StateClosed:
		if _, admitted := f.admitted.LoadAndDelete(conn); admitted {
			admission.Release(conn.RemoteAddr())
		}
		if _, begun := f.begun.LoadAndDelete(conn); begun && state == http.StateClosed {
			admission.Incomplete()
		}
	}
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

// patient is a listener that accepts while there is capacity for handshakes. Where
// pages come by it too, these must not wait for that: handshakes wait in
// backend.queue.
type patient struct {
	net.Listener
	front *front
}

func (p *patient) Accept() (net.Conn, error) {
	if admission := p.front.admission.Load(); admission != nil && !p.front.web {
		admission.WaitForCapacity()
	}
	conn, err := p.Listener.Accept()
	runtime.Gosched() // whoever was accepted asks before the next is accepted, or Wait would not know of it
	return conn, err
}
