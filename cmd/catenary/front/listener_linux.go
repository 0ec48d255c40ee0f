package front

import (
	"context"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cable/socket/descriptor"
	"golang.org/x/sys/unix"
)

// listener accepts connections. Visitors are served here; Accept returns the others, for net/http.
type listener struct {
	*net.TCPListener
	front  *Front
	file   *os.File // its duplicate, with which Go's poller lets us accept bare descriptors
	raw    syscall.RawConn
	begin  sync.Once
	others chan net.Conn
	closed context.Context
	close  context.CancelFunc
}

// withVisitors returns a listener that serves visitors, where that is possible. Connections with TLS
// all go to net/http.
func (f *Front) withVisitors(of net.Listener) net.Listener {
	tcp, ok := of.(*net.TCPListener)
	if !ok {
		return &admittingListener{of, f}
	}
	file, err := tcp.File()
	if err != nil {
		return &admittingListener{of, f}
	}
	l := &listener{TCPListener: tcp, front: f, file: file, others: make(chan net.Conn)}
	l.closed, l.close = context.WithCancel(context.Background())
	l.raw, _ = file.SyscallConn()    // cannot fail
	l.raw.Control(func(fd uintptr) { // accepted connections inherit it
		unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	})
	return l
}

// Accept returns the next connection for net/http.
func (l *listener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.run() })
	select {
	case conn := <-l.others:
		return conn, nil
	case <-l.closed.Done():
		return nil, net.ErrClosed
	}
}

// Close closes the listener and its duplicate.
func (l *listener) Close() error {
	l.close()
	l.file.Close()
	return l.TCPListener.Close()
}

// pass gives a connection to net/http.
func (l *listener) pass(conn net.Conn) {
	select {
	case l.others <- conn:
	case <-l.closed.Done():
		conn.Close()
	}
}

// run accepts connections until the listener is closed. After an error, above all where there are
// too many descriptors, it waits as net/http does.
func (l *listener) run() {
	var pause time.Duration
	for {
		l.front.waitForCapacity()
		fd, remote, err := l.accept()
		if l.closed.Err() != nil {
			if err == nil {
				descriptor.Close(fd)
			}
			return
		}
		if err != nil {
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			l.front.ErrorLog().Printf("accepting a connection: %v; trying again in %v", err, pause)
			time.Sleep(pause)
			continue
		}
		pause = 0
		l.welcome(fd, remote)
		runtime.Gosched() // lets the accepted connection count as a handshake before waitForCapacity looks again
	}
}

func (l *listener) accept() (fd int, remote *net.TCPAddr, err error) {
	waited := l.raw.Read(func(listening uintptr) (done bool) {
		var from netip.AddrPort
		fd, from, err = descriptor.Accept(int(listening))
		remote = net.TCPAddrFromAddrPort(from)
		return err != unix.EAGAIN
	})
	if waited != nil {
		err = waited
	}
	return fd, remote, err
}

// welcome has a visitor served, once there is something to serve it with.
func (l *listener) welcome(fd int, remote *net.TCPAddr) {
	v := &visitor{listener: l, fd: fd, remote: remote}
	opened := l.front.opened.Load()
	if opened == nil || opened.admission == nil {
		v.pass(nil)
		return
	}
	v.opened = opened
	if !v.admission.Admit(remote) {
		descriptor.Close(fd)
		return
	}
	v.receive()
}
