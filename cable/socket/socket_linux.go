package socket

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeNow writes as much as the kernel takes without waiting. broken tells
// that the connection is gone.
//
// The raw system call is on purpose: the socket does not block, so the
// runtime need not prepare for a thread that does, which costs as much as a
// tenth of the write.
func writeNow(fd int, p []byte) (n int, broken bool) {
	for {
		r, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
		switch errno {
		case 0:
			return int(r), false
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			return 0, false
		}
		return 0, true
	}
}

// unsent is how many bytes the kernel takes for a browser that does not read.
// Left to itself it takes megabytes, a copy for each browser; in our queue
// they are the same bytes for all.
const unsent = 128 << 10

// descriptor returns the descriptor of a TCP connection, or -1 where writing
// to it past net.Conn would be wrong, as with TLS. It has the kernel watch for
// a browser that is gone.
func descriptor(conn net.Conn, unanswered time.Duration) int {
	secure, wrapped := conn.(interface{ NetConn() net.Conn })
	if wrapped {
		conn = secure.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return -1
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1
	}
	fd := -1
	raw.Control(func(d uintptr) {
		fd = int(d)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered/time.Millisecond))
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsent)
	})
	if wrapped {
		return -1
	}
	return fd
}

func shutdown(fd int) { syscall.Shutdown(fd, syscall.SHUT_RDWR) }
