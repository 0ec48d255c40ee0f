package socket

import (
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/socket/descriptor"
)

// WriteBytes is the size of one write to a socket when more is queued.
const WriteBytes = 64 << 10

// writeTimeout bounds one blocking write, for systems without TCP_USER_TIMEOUT.
const writeTimeout = 2 * time.Minute

// Owner is the connection that a socket belongs to.
type Owner interface {
	// Receive takes one message of the browser. The next is read after it returns, into the same
	// memory.
	Receive(text []byte)

	// Slow is called once, when more than Limits.PendingBytes are queued for the browser.
	Slow()

	// End is called when nothing more can be read from the browser, or when Shed closes the
	// connection. The reason is one word for logs and metrics.
	End(reason string, how *Ending)
}

// Ending describes how a WebSocket was closed, as the application may want to know it.
type Ending struct {
	Code   int    // of the close frame; websocket.CloseAbnormalClosure if there was none
	Text   string // of the close frame, or the browser's mistake
	Failed bool   // the browser violated the protocol
}

// Socket carries bytes to and from one browser. Send writes in the caller's goroutine; only what
// the kernel does not take at once is queued, and a goroutine exists for the socket only until the
// queue is empty. Frames leave in the order of the calls of Send.
//
// The caller must not change a frame after Send: it may be queued.
type Socket struct {
	// static after the handshake
	limit    int      // of queued bytes
	shared   *Sockets // nil only in benchmarks and tests
	owner    Owner
	Page     Page  // 0: its page has not identified itself
	fd       int32 // for what does not block; -1 where that is not possible
	deflates bool  // permessage-deflate was negotiated

	// owned by the reader
	reader    reader
	paidUntil time.Duration // see throttle

	// owned by the owner, which starts and stops the pings
	index int32 // in the heartbeat's Set
	phase int8  // of the heartbeat; -1 while there are no pings

	mu       sync.Mutex // guards the rest
	conn     conn       // for what blocks; with a Descriptor nil until something must wait
	corked   bool       // frames wait for Uncork
	flushing bool       // a goroutine writes the queue
	shut     bool       // Send drops frames
	closed   bool
	slow     bool     // Owner.Slow has been called
	queue    [][]byte // what the kernel has not taken
	queued   int      // bytes in queue and in flush's hands
	longest  int      // the longest frame among these, in bytes
}

// Init prepares a zero Socket. Frames wait for Uncork, which comes after the answer to the
// handshake.
func (s *Socket) Init(shared *Sockets, owner Owner) {
	s.fd = -1
	s.reader.fd = -1
	s.limit = shared.limits.PendingBytes
	s.shared = shared
	s.owner = owner
	s.phase = -1
	s.corked = true
	s.reader.socket = s
}

// conn is the part of net.Conn that a socket needs. *os.File has it too.
type conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Descriptor is a TCP connection that Go's own poller does not know. It is for Attach only: it has no
// net.Conn, so none of its methods may be called.
type Descriptor struct {
	net.Conn
	FD int
}

// Attach gives the socket its TCP connection. Upgrade does it for a handshake.
func (s *Socket) Attach(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var fd int
	bare, direct := conn.(Descriptor)
	if direct {
		fd = bare.FD
	} else {
		s.conn = conn
		fd, direct = descriptorOf(conn)
	}
	if fd < 0 {
		return
	}
	prepare(fd, s.shared.limits.Unanswered)
	if direct {
		s.fd = int32(fd)
		s.reader.fd = s.fd
	}
}

// blocking returns the connection for what must wait for the browser.
func (s *Socket) blocking() conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blockingLocked()
}

// blockingLocked is blocking with s.mu held.
func (s *Socket) blockingLocked() conn {
	if s.conn == nil {
		s.conn = os.NewFile(uintptr(s.fd), "browser")
	}
	return s.conn
}

// Deflates reports whether the browser accepts compressed frames.
func (s *Socket) Deflates() bool { return s.deflates }

// SendText sends a text frame, compressed if it is long and the browser accepts that.
func (s *Socket) SendText(text string) {
	f := frame(textFrame, text)
	if s.deflates {
		f = Deflate(f)
	}
	s.Send(f)
}

// Send sends a frame, or queues what the kernel does not take. It never blocks. It reports false if
// the socket is shut.
func (s *Socket) Send(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	s.sendLocked(frame)
	if s.queued-s.longest > s.limit && !s.slow { // one frame may be longer than the limit
		s.slow = true
		go s.owner.Slow()
	}
	return true
}

// SendClose sends a close frame and shuts the socket: later frames are dropped. It reports false if
// the socket was shut already.
func (s *Socket) SendClose(code int, text string) bool {
	return s.finish(closing(code, text))
}

// finish sends the last frame, unless it is nil, and shuts the socket. It reports false if the
// socket was shut already.
func (s *Socket) finish(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	if frame != nil {
		s.sendLocked(frame)
	}
	s.shut = true
	return true
}

func (s *Socket) isShut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut
}

// sendLocked writes to the kernel first, unless frames are queued. s.mu is held.
func (s *Socket) sendLocked(frame []byte) {
	if s.queued == 0 && !s.corked && s.fd >= 0 {
		n, broken := descriptor.Write(int(s.fd), frame)
		if n == len(frame) {
			return
		}
		if broken { // the reader notices it too, and closes the socket
			s.shut = true
			return
		}
		frame = frame[n:]
	}
	if s.queued == 0 {
		s.longest = 0
	}
	s.queue = append(s.queue, frame)
	s.queued += len(frame)
	s.longest = max(s.longest, len(frame))
	s.startFlush()
}

func (s *Socket) startFlush() {
	if !s.flushing && !s.corked && s.queued > 0 {
		s.flushing = true
		go s.flush()
	}
}

// flush writes the queue as the browser reads.
func (s *Socket) flush() {
	if s.shared != nil {
		s.shared.backlog.began(s)
		defer s.shared.backlog.ended(s)
	}
	for {
		s.mu.Lock()
		chunk := s.chunk()
		if len(chunk) == 0 {
			s.flushing = false
			s.mu.Unlock()
			return
		}
		conn := s.blockingLocked()
		s.mu.Unlock()

		conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		n, err := writeAll(conn, chunk)
		s.mu.Lock()
		s.queued -= int(n)
		if err != nil {
			s.abort()
		}
		s.mu.Unlock()
	}
}

// chunk takes up to WriteBytes from the queue. s.mu is held.
func (s *Socket) chunk() (chunk net.Buffers) {
	for size := 0; len(s.queue) > 0 && size < WriteBytes; {
		first := s.queue[0]
		room := WriteBytes - size
		if len(first) > room {
			s.queue[0] = first[room:]
			return append(chunk, first[:room])
		}
		chunk = append(chunk, first)
		size += len(first)
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	return chunk
}

// Uncork sends what was queued since Init, so the 101 and the first frames leave in one write.
func (s *Socket) Uncork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	if s.queued == 0 {
		return
	}
	all := slices.Concat(s.queue...)
	s.queue = nil
	s.queued = 0
	s.sendLocked(all)
}

// abort drops the queue and ends the TCP connection, so that the reader closes the socket. s.mu is
// held.
func (s *Socket) abort() {
	s.shut = true
	s.queue = nil
	if s.fd >= 0 {
		descriptor.Shutdown(int(s.fd))
	} else {
		s.conn.Close()
	}
}

// AbortUnlessAnswered ends the TCP connection if the browser does not answer our close frame within
// Limits.CloseWait.
func (s *Socket) AbortUnlessAnswered() {
	time.AfterFunc(s.shared.limits.CloseWait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			s.abort()
		}
	})
}

// Close closes the TCP connection. It must not run beside a read: a descriptor that is closed during
// one may belong to another connection already.
func (s *Socket) Close() error {
	s.mu.Lock()
	s.shut = true
	s.closed = true
	s.queue = nil
	fd, conn := s.fd, s.conn
	s.fd = -1
	if conn == nil && fd >= 0 {
		descriptor.Close(int(fd)) // under the lock: flush must not find a descriptor that is closed
	}
	s.mu.Unlock()
	if conn == nil {
		return nil
	}
	return conn.Close()
}
