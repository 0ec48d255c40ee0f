package socket

import (
	"cmp"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

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
	for len(frames) > 0 && n >= len(frames[0]) {
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

// descriptorOf returns the descriptor of a TCP connection, or -1. direct is false if data must go
// through conn, as with TLS.
func descriptorOf(conn net.Conn) (fd int, direct bool) {
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
	fd = -1
	raw.Control(func(d uintptr) { fd = int(d) }) // not called if conn is closed
	return fd, !wrapped
}

// prepare sets TCP_USER_TIMEOUT, by which the kernel notices that a browser is gone, and maxUnsent.
func prepare(fd int, unanswered time.Duration) {
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unanswered/time.Millisecond))
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, maxUnsent)
}
