package front

import (
	"context"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/socket/descriptor"
)

// visitor is a TCP connection that has not sent a request yet, or whose handshake is being answered.
// It is only a descriptor: handshakes are most of the work in a storm of reconnects, and net/http
// needs two goroutines and 10 KB of buffers for each. A visitor that sends anything but a plain
// handshake, at once and as a whole, goes to net/http.
type visitor struct {
	*opened
	listener *listener
	fd       int
	remote   *net.TCPAddr

	waiting sync.Mutex  // held while wait starts both the timer and the watch
	silent  *time.Timer // closes the connection; nil: it was never silent
}

// receive reads what the visitor has sent. If that is nothing yet, the poller calls Ready later.
func (v *visitor) receive() {
	h := heads.Get().(*head)
	defer heads.Put(h)
	n, err := descriptor.Read(v.fd, h.buffer[:])
	switch {
	case err != nil:
		v.close()
	case n == 0:
		v.wait()
	default:
		request := h.handshake(n)
		if request == nil || n > v.listener.front.server.MaxHeaderBytes || !v.router.isCable(request) {
			v.poller.Release(v.fd, v)
			v.listener.pass(v.fd, v.remote, h.buffer[:n], true)
			return
		}
		request.RemoteAddr = v.remote.String()
		go v.serve(request)
	}
}

// wait waits for the first bytes, but no longer than for a whole request.
func (v *visitor) wait() {
	v.waiting.Lock()
	defer v.waiting.Unlock()
	v.silent = time.AfterFunc(v.listener.front.server.ReadHeaderTimeout, func() {
		v.waiting.Lock()
		defer v.waiting.Unlock()
		v.close()
	})
	err := v.poller.Watch(v.fd, v)
	if err != nil && v.silent.Stop() {
		v.close()
	}
}

// Ready is called when the first bytes have arrived, or never will.
func (v *visitor) Ready() {
	if v.silent.Stop() {
		v.receive()
	}
}

// close ends a visit without an answer.
func (v *visitor) close() {
	v.poller.Closing(v.fd, v)
	descriptor.Close(v.fd)
	v.admission.Release(v.remote)
}

// serve answers a handshake. As with net/http, the request's context ends when the browser leaves or
// the front closes, and a panic ends only this connection.
func (v *visitor) serve(r *http.Request) {
	defer v.admission.Release(v.remote)
	ctx, cancel := context.WithCancel(v.listener.front.closed)
	defer cancel()
	gone := &hangup{cancel}
	v.poller.WatchHangup(v.fd, gone)
	a := &answer{fd: v.fd}
	defer func() {
		failure := recover()
		if failure != nil {
			v.listener.front.ErrorLog().Printf("panic serving %v: %v\n%s", v.remote, failure, debug.Stack())
		}
		if a.hijacked {
			return
		}
		v.poller.Closing(v.fd, gone)
		if failure == nil {
			a.send()
		}
		descriptor.Close(v.fd)
	}()
	v.router.cable.ServeHTTP(a, r.WithContext(ctx))
}

// hangup cancels a handshake whose browser has left.
type hangup struct{ cancel context.CancelFunc }

func (h *hangup) Ready() { h.cancel() }
