package socket

import (
	"cmp"
	"io"
	"net"
	"os"
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

// readNow reads what has arrived. It returns 0 and nil if nothing has, and io.EOF at the end.
func readNow(fd int, p []byte) (n int, err error) {
	r, _, errno := syscall.RawSyscall(syscall.SYS_READ, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	switch {
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		return 0, nil
	case errno != 0:
		return 0, errno
	case r == 0:
		return 0, io.EOF
	}
	return int(r), nil
}

// writeAll writes all frames, and returns how many bytes it has written. It is net.Buffers.WriteTo,
// which writes to a file each frame by itself, for files too.
func writeAll(to conn, frames net.Buffers) (written int64, err error) {
	file, ok := to.(*os.File)
	if !ok {
		return frames.WriteTo(to)
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Write(func(fd uintptr) (done bool) {
		for len(frames) > 0 {
			var n int
			n, err = unix.Writev(int(fd), frames[:min(len(frames), maxVector)])
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				return err != unix.EAGAIN
			}
			written += int64(n)
			frames = rest(frames, n)
		}
		return true
	})
	return written, cmp.Or(waited, err)
}

// maxVector is how many frames one system call takes (UIO_MAXIOV).
const maxVector = 1024

// rest returns frames without their first n bytes.
func rest(frames net.Buffers, n int) net.Buffers {
	for n > 0 && n >= len(frames[0]) {
		n -= len(frames[0])
		frames = frames[1:]
	}
	if n > 0 {
		frames[0] = frames[0][n:]
	}
	return frames
}

// maxUnsent is how many bytes the kernel takes for a browser that does not read. By default it
// takes megabytes, which are a copy for each browser; in our queue all browsers share them.
const maxUnsent = 128 << 10

// descriptor returns the descriptor of a TCP connection, or -1. direct is false if data must go
// through conn, as with TLS.
func descriptor(conn net.Conn) (fd int, direct bool) {
	secure, wrapped := conn.(interface{ NetConn() net.Conn })
	if wrapped {
		conn = secure.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return -1, false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return -1, false
	}
	raw.Control(func(d uintptr) { fd = int(d) })
	return fd, !wrapped
}

// prepare sets TCP_USER_TIMEOUT, by which the kernel notices that a browser is gone, and maxUnsent.
func prepare(fd int, unanswered time.Duration) {
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered/time.Millisecond))
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
}

func closeNow(fd int) { unix.Close(fd) }

func shutdown(fd int) { syscall.Shutdown(fd, syscall.SHUT_RDWR) }
