package descriptor

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller watches descriptors, each for one watcher.
type Poller struct {
	file *os.File // the epoll instance, which Go's own poller watches
	raw  syscall.RawConn
	fd   int

	mu      sync.Mutex
	entries []entry // by descriptor: the kernel gives out the lowest that is free
	serial  int32   // of the last Watch or WatchHangup
}

type entry struct {
	watcher Watcher // nil: the descriptor is not watched
	serial  int32   // is in its events too, since an event may be older than the watcher
}

// NewPoller creates a Poller. Run makes it work.
func NewPoller() (*Poller, error) {
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
	return &Poller{file: file, raw: raw, fd: fd}, nil
}

// What is reported, once.
const (
	hangup   = unix.EPOLLRDHUP | unix.EPOLLONESHOT
	readable = unix.EPOLLIN | hangup
)

// Watch reports to w, once, that a descriptor has something to read or that the other end has closed
// the connection. It replaces the previous watcher.
func (p *Poller) Watch(fd int, w Watcher) error { return p.watch(fd, w, readable) }

// WatchHangup reports only that the other end has closed the connection.
func (p *Poller) WatchHangup(fd int, w Watcher) error { return p.watch(fd, w, hangup) }

func (p *Poller) watch(fd int, w Watcher, events uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd >= len(p.entries) {
		p.entries = append(p.entries, make([]entry, fd+1-len(p.entries))...)
	}
	e := &p.entries[fd]
	operation := unix.EPOLL_CTL_ADD
	if e.watcher != nil {
		operation = unix.EPOLL_CTL_MOD
	}
	p.serial++
	event := &unix.EpollEvent{Events: events, Fd: int32(fd), Pad: p.serial}
	err := unix.EpollCtl(p.fd, operation, fd, event)
	if err == unix.ENOENT { // it was closed without Closing
		err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, event)
	}
	if err != nil {
		return fmt.Errorf("watching a connection: %w", err)
	}
	*e = entry{w, p.serial}
	return nil
}

// Again asks for one more report to w. The lock orders what w has done before what its next Ready
// does.
func (p *Poller) Again(fd int, w Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.entries[fd]; e.watcher == w {
		unix.EpollCtl(p.fd, unix.EPOLL_CTL_MOD, fd, &unix.EpollEvent{Events: readable, Fd: int32(fd), Pad: e.serial})
	}
}

// Closing stops watching a descriptor that is about to be closed, by which the kernel stops too.
func (p *Poller) Closing(fd int, w Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd < len(p.entries) && p.entries[fd].watcher == w {
		p.entries[fd] = entry{}
	}
}

// Release stops watching a descriptor that stays open.
func (p *Poller) Release(fd int, w Watcher) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if fd < len(p.entries) && p.entries[fd].watcher == w {
		p.entries[fd] = entry{}
		unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil)
	}
}

// Run reports to watchers until ctx ends.
func (p *Poller) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.file.Close() })
	defer stop()
	events := make([]unix.EpollEvent, 256)
	for {
		var n int
		var err error
		closed := p.raw.Read(func(fd uintptr) bool {
			n, err = look(int(fd), events)
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
			if e := p.entries[event.Fd]; e.watcher != nil && e.serial == event.Pad {
				go e.watcher.Ready()
			}
		}
		p.mu.Unlock()
		if n == len(events) {
			runtime.Gosched() // lets readers end, so that not all of a storm exist at once
		}
	}
}

// look returns the events that there are now.
func look(fd int, events []unix.EpollEvent) (n int, err error) {
	r, _, errno := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
