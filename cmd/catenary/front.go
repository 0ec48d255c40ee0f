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

	"github.com/catenary-cable/catenary/config"
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
	keeper  atomic.Pointer[doorkeeper]

	knocking sync.Map // connections that the keeper has let be, until they are WebSockets or end
	begun    sync.Map // those that have begun a request, until it is there as a whole
}

// A doorkeeper knows how many may be at the door.
type doorkeeper interface {
	// Calm is called before each accept, and returns when there is room for one more.
	Calm()
	// Knock is told of each connection, and reports whether it may be.
	Knock(net.Addr) bool
	// Settled is told when one that may be is a WebSocket, or has ended.
	Settled(net.Addr)
	// Incomplete is told of each request that has not come as a whole.
	Incomplete()
}

func newFront(listener net.Listener, lent bool, limits config.Limits, log *slog.Logger) *front {
	f := &front{listener: listener, lent: lent, opened: make(chan struct{})}
	f.server = &http.Server{
		Handler: f, ReadHeaderTimeout: limits.HeaderTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: int(limits.HeaderBytes),
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug), ConnState: f.watch,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	return f
}

// connKey is where a request's context has its connection.
type connKey struct{}

// open sends requests to the handler from now on.
func (f *front) open(handler http.Handler, keeper doorkeeper) {
	f.keeper.Store(&keeper)
	f.handler.Store(&handler)
	close(f.opened)
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.begun.Delete(r.Context().Value(connKey{}))
	if handler := f.handler.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Retry-After", "2")
	http.Error(w, "catenary waits for Rails to start", http.StatusServiceUnavailable)
}

// watch follows a connection until it is a WebSocket. It finds the requests, too,
// that net/http answers by itself or gives up: of these it tells the first byte,
// and the connection's end.
func (f *front) watch(conn net.Conn, state http.ConnState) {
	keeper := f.keeper.Load()
	if keeper == nil {
		return
	}
	switch state {
	case http.StateNew:
		if !(*keeper).Knock(conn.RemoteAddr()) {
			conn.Close()
			return
		}
		f.knocking.Store(conn, true)
	case http.StateActive:
		f.begun.Store(conn, true)
	case http.StateHijacked, http.StateClosed:
		if _, knocking := f.knocking.LoadAndDelete(conn); knocking {
			(*keeper).Settled(conn.RemoteAddr())
		}
		if _, begun := f.begun.LoadAndDelete(conn); begun && state == http.StateClosed {
			(*keeper).Incomplete()
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

// patient is a listener that accepts when things are calm.
type patient struct {
	net.Listener
	front *front
}

func (p *patient) Accept() (net.Conn, error) {
	if keeper := p.front.keeper.Load(); keeper != nil {
		(*keeper).Calm()
	}
	conn, err := p.Listener.Accept()
	runtime.Gosched() // who was accepted asks before the next is, or calm would not know of it
	return conn, err
}
