package front

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cable/socket/descriptor"
)

// listener accepts connections. Visitors are served here; Accept returns the others, for net/http.
type listener struct {
	*net.TCPListener
	front  *Front
	file   *os.File // its duplicate, with which Go's poller lets us accept bare descriptors
	raw    syscall.RawConn
	begin  sync.Once
	others chan net.Conn
	failed chan error // holds why run has ended
	left   atomic.Bool
	closed chan struct{}
	once   sync.Once // closes closed
}

// withVisitors returns a listener that serves visitors, where that is possible. Connections with TLS
// all go to net/http.
func (f *Front) withVisitors(of net.Listener) accepting {
	tcp, ok := of.(*net.TCPListener)
	if !ok {
		return &admittingListener{of, f}
	}
	file, err := tcp.File()
	if err != nil {
		return &admittingListener{of, f}
	}
	l := &listener{TCPListener: tcp, front: f, file: file, others: make(chan net.Conn), failed: make(chan error, 1), closed: make(chan struct{})}
	l.raw, _ = file.SyscallConn() // cannot fail
	return l
}

// Accept returns the next connection for net/http.
func (l *listener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.run() })
	select {
	case conn := <-l.others:
		return conn, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Leave closes the listener and its duplicate. Visitors stay.
func (l *listener) Leave() {
	l.left.Store(true)
	l.file.Close()
	l.TCPListener.Close()
}

// Close also ends Accept.
func (l *listener) Close() error {
	l.Leave()
	l.once.Do(func() { close(l.closed) })
	return nil
}

// run accepts connections until the listener is closed. If it cannot accept one for now, above all
// for want of descriptors, it waits as net/http does.
func (l *listener) run() {
	var pause time.Duration
	for {
		l.front.waitForCapacity()
		fd, remote, err := l.accept()
		var errno syscall.Errno
		switch {
		case err == nil:
			pause = 0
			l.welcome(fd, remote)
			runtime.Gosched() // lets the accepted connection count as a handshake before waitForCapacity looks again
		case l.left.Load():
			return
		case errors.Is(err, syscall.ECONNABORTED), errors.Is(err, syscall.EINTR):
		case errors.As(err, &errno) && (errno.Temporary() || errno == syscall.ENOBUFS || errno == syscall.ENOMEM):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			l.front.ErrorLog().Printf("accepting a connection: %v; trying again in %v", err, pause)
			time.Sleep(pause)
		default:
			l.failed <- err
			return
		}
	}
}

func (l *listener) accept() (fd int, remote *net.TCPAddr, err error) {
	waited := l.raw.Read(func(listening uintptr) (done bool) {
		var from netip.AddrPort
		fd, from, err = descriptor.Accept(int(listening))
		remote = net.TCPAddrFromAddrPort(from)
		return err != syscall.EAGAIN
	})
	return fd, remote, cmp.Or(waited, err)
}

// welcome has a visitor served, once there is something to serve it with.
func (l *listener) welcome(fd int, remote *net.TCPAddr) {
	opened := l.front.opened.Load()
	if opened == nil || opened.admission == nil {
		l.pass(fd, remote, nil, false)
		return
	}
	if !opened.admission.Admit(remote) {
		descriptor.Close(fd)
		return
	}
	v := &visitor{opened: opened, listener: l, fd: fd, remote: remote}
	v.receive()
}

// pass hands a connection to net/http, with what was read from it. admitted means that admission
// counts it.
func (l *listener) pass(fd int, remote *net.TCPAddr, read []byte, admitted bool) {
	file := os.NewFile(uintptr(fd), "browser")
	conn, err := net.FileConn(file) // duplicates the descriptor
	file.Close()
	if err != nil {
		l.front.ErrorLog().Printf("passing a connection to net/http: %v", err)
		l.front.release(remote, admitted)
		return
	}
	tcp := conn.(*net.TCPConn)
	tcp.SetKeepAlive(false)
	select {
	case l.others <- &begun{tcp, remote, append([]byte(nil), read...), admitted}:
	case <-l.closed:
		tcp.Close()
		l.front.release(remote, admitted)
	}
}
