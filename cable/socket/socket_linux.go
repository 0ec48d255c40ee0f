package socket

import (
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeNow writes as much as the kernel takes without blocking. broken means that the connection is
// gone.
//
// A raw system call skips the runtime's preparation for a blocking thread, which costs a tenth of
// the write and is not needed for a non-blocking socket.
func writeNow(fd int, p []byte) (n int, broken bool) {
	for {
		r, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
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

// readNow reads what has arrived. It returns 0 if nothing has, or nothing more can.
func readNow(fd int, p []byte) (n int) {
	r, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0
	}
	return int(r)
}

// maxUnsent is how many bytes the kernel takes for a browser that does not read. By default it
// takes megabytes, which are a copy for each browser; in our queue all browsers share them.
const maxUnsent = 128 << 10

// descriptor returns the descriptor of a TCP connection, or -1 if writes must go through net.Conn,
// as with TLS. It sets TCP_USER_TIMEOUT, by which the kernel notices that a browser is gone.
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
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
	})
	if wrapped {
		return -1
	}
	return fd
}

func shutdown(fd int) { syscall.Shutdown(fd, syscall.SHUT_RDWR) }
