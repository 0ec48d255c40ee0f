package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/socket/descriptor"
	"github.com/catenary-cable/catenary/config"
)

// Front is the HTTP server for browsers. It answers 503 until Open, so that early browsers are not
// left waiting. A lent listener (socket activation) stays open from one catenary to the next:
// connections that come too early or too late wait in its backlog instead.
type Front struct {
	listener accepting
	lent     bool
	web      bool // serves the app's pages too
	server   *http.Server
	left     atomic.Bool

	opening sync.Once
	ready   chan struct{}          // closed by the first Open
	opened  atomic.Pointer[opened] // nil before
	closed  context.Context        // done after Close
	close   context.CancelFunc

	mu sync.Mutex
	// admitted has the connections that admission counts, until they are WebSockets or close. True
	// means that the headers of a request are incomplete.
	admitted map[net.Conn]bool
}

// opened is what Open is given.
type opened struct {
	router    *Router
	admission *admission.Admission // nil: only pages are served
	poller    *descriptor.Poller
}

// New returns a server on a listener. lent means that systemd owns the listener, web that the
// app's pages are served here too.
func New(listener net.Listener, lent, web bool, limits config.Limits, logger *slog.Logger) *Front {
	f := &Front{lent: lent, web: web, ready: make(chan struct{}), admitted: map[net.Conn]bool{}}
	f.closed, f.close = context.WithCancel(context.Background())
	f.listener = f.withVisitors(listener)
	f.server = &http.Server{
		Handler:           abortStalled(f, stallTimeout),
		ReadHeaderTimeout: limits.HeaderTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    int(limits.HeaderBytes),
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnState:         f.watch,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	return f
}

// connKey is the key of the connection in a request's context.
type connKey struct{}

// Addr is the address that browsers connect to.
func (f *Front) Addr() net.Addr { return f.listener.Addr() }

// ErrorLog is where net/http reports errors of single connections, at level debug.
func (f *Front) ErrorLog() *log.Logger { return f.server.ErrorLog }

// Open sends all further requests to router. admission and poller are nil while only pages are served.
func (f *Front) Open(router *Router, admission *admission.Admission, poller *descriptor.Poller) {
	f.opened.Store(&opened{router, admission, poller})
	f.opening.Do(func() { close(f.ready) })
}

// Starting answers 503 until Rails has reported what catenary needs to know.
func Starting(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Retry-After", "2")
	http.Error(w, "catenary is waiting for Rails to start", http.StatusServiceUnavailable)
}

func (f *Front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.noteRequest(r.Context().Value(connKey{}).(net.Conn), false)
	opened := f.opened.Load()
	if opened == nil {
		Starting(w, r)
		return
	}
	opened.router.ServeHTTP(w, r)
}

// watch counts a connection against the limits until it is a WebSocket. It also finds requests that
// net/http answers itself or gives up, of which it reports only the first byte and the close.
func (f *Front) watch(conn net.Conn, state http.ConnState) {
	admission := f.currentAdmission()
	if admission == nil {
		return
	}
	switch state {
	case http.StateNew:
		passed, _ := conn.(*begun)
		if (passed == nil || !passed.admitted) && !admission.Admit(conn.RemoteAddr()) {
			conn.Close()
			return
		}
		f.mu.Lock()
		f.admitted[conn] = false
		f.mu.Unlock()
	case http.StateActive:
		f.noteRequest(conn, true)
	case http.StateHijacked, http.StateClosed:
		f.mu.Lock()
		incomplete, admitted := f.admitted[conn]
		delete(f.admitted, conn)
		f.mu.Unlock()
		if admitted {
			admission.Release(conn.RemoteAddr())
		}
		if incomplete && state == http.StateClosed {
			admission.Incomplete()
		}
	}
}

// noteRequest notes whether the headers of a connection's request are incomplete.
func (f *Front) noteRequest(conn net.Conn, incomplete bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, admitted := f.admitted[conn]; admitted {
		f.admitted[conn] = incomplete
	}
}

// Serve accepts connections until Leave or Stop. It takes none from a lent listener before Open.
func (f *Front) Serve(ctx context.Context) error {
	if f.lent {
		select {
		case <-f.ready:
		case <-ctx.Done():
			return nil
		}
	}
	err := f.server.Serve(f.listener)
	if errors.Is(err, http.ErrServerClosed) || f.left.Load() {
		return nil
	}
	return fmt.Errorf("serving browsers on %s: %w", f.listener.Addr(), err)
}

// Leave stops accepting from a lent listener, so that new connections wait for the next catenary.
// Where pages are served too, it accepts until Stop.
func (f *Front) Leave() {
	if !f.lent || f.web {
		return
	}
	f.left.Store(true)
	f.listener.Leave()
}

// Stop closes the listener. Web requests in flight may finish until ctx is done; handshakes have
// been rejected by then.
func (f *Front) Stop(ctx context.Context) {
	if f.web {
		f.server.Shutdown(ctx)
	}
	f.Close()
}

// Close stops at once.
func (f *Front) Close() {
	f.close()
	f.server.Close()
	f.listener.Close() // which the server does not know before Serve
}

// accepting is a listener of which Leave closes only what new connections come to.
type accepting interface {
	net.Listener
	Leave()
}

// admittingListener accepts only while there is capacity for handshakes, so that a storm queues in
// the kernel's backlog. Where pages are served too, they must not queue behind it: there handshakes
// wait in backend.queue.
type admittingListener struct {
	net.Listener
	front *Front
}

func (l *admittingListener) Accept() (net.Conn, error) {
	l.front.waitForCapacity()
	conn, err := l.Listener.Accept()
	runtime.Gosched() // lets the accepted connection count as a handshake before waitForCapacity looks again
	return conn, err
}

// Leave closes the listener.
func (l *admittingListener) Leave() { l.Listener.Close() }

// waitForCapacity waits until fewer handshakes wait for Rails, unless pages are served here too.
func (f *Front) waitForCapacity() {
	if admission := f.currentAdmission(); admission != nil && !f.web {
		admission.WaitForCapacity()
	}
}

// currentAdmission returns nil before Open is given one.
func (f *Front) currentAdmission() *admission.Admission {
	if opened := f.opened.Load(); opened != nil {
		return opened.admission
	}
	return nil
}

// release releases a connection that admission counts, if it does.
func (f *Front) release(remote net.Addr, admitted bool) {
	if admission := f.currentAdmission(); admitted && admission != nil {
		admission.Release(remote)
	}
}

// begun is a connection for net/http of which something may have been read.
type begun struct {
	*net.TCPConn
	remote   net.Addr // after a reset the kernel does not know it any more
	read     []byte
	admitted bool // admission counts it
}

func (c *begun) RemoteAddr() net.Addr { return c.remote }

func (c *begun) Read(p []byte) (int, error) {
	if len(c.read) > 0 {
		n := copy(p, c.read)
		c.read = c.read[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo hides TCPConn's, which does not know what has been read.
func (c *begun) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, struct{ io.Reader }{c}) }
