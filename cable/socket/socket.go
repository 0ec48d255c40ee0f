package socket

import (
	"net"
	"sync"
	"time"
)

// WriteBytes is about how much goes to a socket in one write.
const WriteBytes = 64 << 10

// Owner is whoever a socket belongs to.
type Owner interface {
	// Receive takes one text of the browser's. The next is read when it returns.
	Receive(text []byte)

	// Slow is called once, when more waits for the browser than may.
	Slow()

	// End is called when the browser can be read no more, or is given up for
	// lack of memory. The reason is one word for logs and metrics.
	End(reason string, with *Ending)
}

// An Ending is what the application may want to know of a WebSocket's end.
type Ending struct {
	Code   int    // of the close frame; websocket.CloseAbnormalClosure if there was none
	Text   string // of the close frame, or what the browser did wrong
	Failed bool   // the browser broke the protocol
}

// Socket is bytes to and from one browser. Whoever has a frame sends it where it
// stands; only what the kernel does not take at once is queued, and only then
// does a goroutine work for this socket, until the queue is empty again. The
// order is that of the calls of Send.
//
// A frame given to Send must not be changed afterwards: it may be queued.
type Socket struct {
	// static after the handshake
	net.Conn
	fd       int      // for writing without waiting; -1 where that cannot be done
	limit    int      // bytes that may wait
	all      *Sockets // nil only in benchmarks and tests
	owner    Owner
	deflates bool // agreed to in the handshake

	reader reader        // the way in
	paced  time.Duration // of the reader: see keepPace

	// of the owner, who starts and stops the pings
	place int32 // in the heartbeat
	phase int8  // of the heartbeat; -1 before and after

	mu       sync.Mutex // guards the rest
	corked   bool       // frames wait for Uncork
	flushing bool       // a goroutine writes the queue
	shut     bool       // nothing more is accepted
	closed   bool
	over     bool     // more has waited than may
	queue    [][]byte // what the kernel has not taken
	queued   int      // bytes in queue and in the flusher's hands
	longest  int      // frame among these
}

// Init makes a zero Socket one of the server's. Frames sent before the
// handshake is answered wait for Uncork.
func (s *Socket) Init(all *Sockets, owner Owner) {
	s.fd, s.limit, s.all, s.owner = -1, all.limits.PendingBytes, all, owner
	s.phase, s.corked = -1, true
	s.reader.socket = s
}

// Attach gives the socket its TCP connection. Upgrade does it for a handshake.
func (s *Socket) Attach(conn net.Conn) {
	s.Conn, s.fd = conn, descriptor(conn, s.all.limits.Unanswered)
}

// Deflates reports whether the browser has agreed to compressed frames.
func (s *Socket) Deflates() bool { return s.deflates }

// SendText sends a text, compressed if it is long and the browser has agreed.
func (s *Socket) SendText(text string) {
	f := frame(textFrame, text)
	if s.deflates {
		f = Deflate(f)
	}
	s.Send(f)
}

// Send sends a frame, or queues what is left of it. It never blocks. It
// reports false if the socket accepts nothing more.
func (s *Socket) Send(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	s.sendLocked(frame)
	if s.queued-s.longest > s.limit && !s.over { // a single frame may be as long as it likes
		s.over = true
		go s.owner.Slow()
	}
	return true
}

// SendClose sends a close frame. What is sent later is dropped. It reports
// whether it was the first to do so.
func (s *Socket) SendClose(code int, text string) bool {
	return s.finish(closing(code, text))
}

// finish sends the last frame, if there is one. What is sent later is dropped.
// It reports whether it was the first to do so.
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

// sendLocked tries the kernel first, unless something waits already: that keeps
// the order. s.mu is held.
func (s *Socket) sendLocked(frame []byte) {
	if s.queued == 0 && !s.corked && s.fd >= 0 {
		n, broken := writeNow(s.fd, frame)
		if n == len(frame) {
			return
		}
		if broken { // the reader finds out, and ends the connection
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

// stalled is how long one write may wait, where the kernel does not watch.
const stalled = 2 * time.Minute

// flush writes the queue as the browser reads.
func (s *Socket) flush() {
	if s.all != nil {
		s.all.backlog.began(s)
		defer s.all.backlog.ended(s)
	}
	for {
		s.mu.Lock()
		chunk := s.chunk()
		if len(chunk) == 0 {
			s.flushing = false
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()

		s.Conn.SetWriteDeadline(time.Now().Add(stalled))
		n, err := chunk.WriteTo(s.Conn)
		s.mu.Lock()
		s.queued -= int(n)
		if err != nil {
			s.shut, s.queue = true, nil
			s.abort()
		}
		s.mu.Unlock()
	}
}

// chunk takes about as much from the queue as one write should carry.
func (s *Socket) chunk() (chunk net.Buffers) {
	for size := 0; len(s.queue) > 0 && size < WriteBytes; {
		first := s.queue[0]
		if part := WriteBytes - size; len(first) > part {
			chunk, s.queue[0] = append(chunk, first[:part]), first[part:]
			return chunk
		}
		chunk, size = append(chunk, first), size+len(first)
		s.queue = s.queue[1:]
	}
	if len(s.queue) == 0 {
		s.queue = nil
	}
	return chunk
}

// Uncork sends what was written since Init: so the 101 and the first frames leave
// together.
func (s *Socket) Uncork() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.corked = false
	if s.queued == 0 {
		return
	}
	var all []byte
	for _, frame := range s.queue {
		all = append(all, frame...)
	}
	s.queue, s.queued = nil, 0
	s.sendLocked(all)
}

// Write is for gorilla/websocket, which writes the answers to broken frames; it
// may reuse p. Its 101 is not ours.
func (s *Socket) Write(p []byte) (int, error) {
	if s.reader.ws == nil {
		return len(p), nil
	}
	if !s.Send(append([]byte(nil), p...)) {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// SetWriteDeadline is gorilla's, whose writes never wait here.
func (s *Socket) SetWriteDeadline(time.Time) error { return nil }

// abort ends the TCP connection. The reader finds out, and closes the socket.
// s.mu is held.
func (s *Socket) abort() {
	s.shut, s.queue = true, nil
	if s.fd >= 0 {
		shutdown(s.fd)
	} else {
		s.Conn.Close()
	}
}

// AbortUnlessAnswered ends the TCP connection unless the browser has answered
// our close frame in time.
func (s *Socket) AbortUnlessAnswered() {
	time.AfterFunc(s.all.limits.CloseWait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			s.abort()
		}
	})
}

// Close closes the socket, once nobody can be writing to it. Only the reader
// calls it, so that it never reads from another's descriptor.
func (s *Socket) Close() error {
	s.mu.Lock()
	s.shut, s.closed, s.fd, s.queue = true, true, -1, nil
	s.mu.Unlock()
	if s.Conn == nil { // the handshake has failed before there was one
		return nil
	}
	return s.Conn.Close()
}
