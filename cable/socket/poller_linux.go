package socket

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// poller starts a goroutine for a socket when there is something to read, so an idle connection
// needs no goroutine, no stack and no read buffer. epoll reports each socket once; arm asks for the
// next report.
type poller struct {
	file *os.File // the epoll instance, which Go's own poller watches
	raw  syscall.RawConn
	fd   int

	mu      sync.Mutex
	readers []*reader // by descriptor: the kernel gives out the lowest that is free
}

func newPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	err = unix.SetNonblock(fd, true) // has os.NewFile register it with Go's poller
	if err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	file := os.NewFile(uintptr(fd), "epoll")
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("creating an epoll instance: %w", err)
	}
	return &poller{file: file, raw: raw, fd: fd}, nil
}

const readiness = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT

// watch begins to watch a reader's socket.
func (p *poller) watch(r *reader) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	event := unix.EpollEvent{Events: readiness, Fd: r.fd}
	err := unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, int(r.fd), &event)
	if err != nil {
		return fmt.Errorf("watching a connection: %w", err)
	}
	if int(r.fd) >= len(p.readers) {
		p.readers = append(p.readers, make([]*reader, int(r.fd)+1-len(p.readers))...)
	}
	p.readers[r.fd] = r
	return nil
}

// arm asks for one more report for a reader's socket. The lock orders what the reader has done before
// what the next one does.
func (p *poller) arm(r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers[r.fd] == r {
		event := unix.EpollEvent{Events: readiness, Fd: r.fd}
		unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, int(r.fd), &event)
	}
}

// forget stops watching. It must be called before the socket is closed.
func (p *poller) forget(r *reader) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readers[r.fd] == r {
		unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, int(r.fd), nil)
		p.readers[r.fd] = nil
	}
}

// run starts a goroutine for every readable socket until ctx ends.
func (p *poller) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.file.Close() })
	defer stop()
	events := make([]unix.EpollEvent, 256)
	for {
		var n int
		var err error
		closed := p.raw.Read(func(fd uintptr) bool {
			n, err = unix.EpollWait(int(fd), events, 0)
			return n != 0 // at 0, Go's poller waits until the epoll instance is readable
		})
		if ctx.Err() != nil {
			return nil
		}
		if closed != nil {
			return fmt.Errorf("waiting for browsers: %w", closed)
		}
		if err != nil {
			if err == unix.EINTR {
				continue
			}
			return fmt.Errorf("waiting for browsers: %w", err)
		}
		p.mu.Lock()
		for _, event := range events[:n] {
			if r := p.readers[event.Fd]; r != nil {
				go r.read()
			}
		}
		p.mu.Unlock()
		if n == len(events) {
			runtime.Gosched() // lets readers end, so that not all of a storm exist at once
		}
	}
}
