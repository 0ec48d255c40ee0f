package cable

import (
	"net"
	"sync"
	"time"
)

// socket is the way out to one browser. Whoever has a frame writes it where it
// stands; only what the kernel does not take at once is queued, and only then
// does a goroutine work for this socket, until the queue is empty again. Order
// is that of the calls of write.
//
// A frame given to write must not be changed afterwards: it may be queued.
type socket struct {
	net.Conn
	fd    int         // for writing without waiting; -1 where that cannot be done
	limit int         // bytes that may wait
	owner *Connection // is told, once, when more wait

	deflates bool // agreed to in the handshake; static afterwards

	mu       sync.Mutex
	corked   bool // writes wait for uncork
	flushing bool // a goroutine writes the queue
	shut     bool // nothing more is accepted
	closed   bool
	over     bool     // more has waited than may
	queue    [][]byte // what the kernel has not taken
	queued   int      // bytes in queue and in the flusher's hands
}

// write sends a frame, or queues what is left of it. It never blocks. It
// reports false if the socket accepts nothing more.
func (s *socket) write(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	s.send(frame)
	if s.queued > s.limit && !s.over {
		s.over = true
		go s.owner.slow()
	}
	return true
}

// finish sends the last frame, if there is one. What is written later is
// dropped. It reports whether it was the first to do so.
func (s *socket) finish(frame []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	if frame != nil {
		s.send(frame)
	}
	s.shut = true
	return true
}

func (s *socket) isShut() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut
}

// send tries the kernel first, unless something waits already: that keeps
// the order. s.mu is held.
func (s *socket) send(frame []byte) {
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
	s.queue = append(s.queue, frame)
	s.queued += len(frame)
	s.startFlush()
}

func (s *socket) startFlush() {
	if !s.flushing && !s.corked && s.queued > 0 {
		s.flushing = true
		go s.flush()
	}
}

// stalled is how long one write may wait, where the kernel does not watch.
const stalled = 2 * time.Minute

// flush writes the queue as the browser reads.
func (s *socket) flush() {
	if s.owner != nil {
		s.owner.server.queues.began(s)
		defer s.owner.server.queues.ended(s)
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
func (s *socket) chunk() (chunk net.Buffers) {
	for size := 0; len(s.queue) > 0 && size < writeBytes; {
		first := s.queue[0]
		if part := writeBytes - size; len(first) > part {
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

// uncork sends what was written since the socket was made: so the 101 and the
// first frames leave together.
func (s *socket) uncork() {
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
	s.send(all)
}

// Write is for gorilla/websocket, which writes the 101 and the answers to
// broken frames; it may reuse p.
func (s *socket) Write(p []byte) (int, error) {
	if !s.write(append([]byte(nil), p...)) {
		return 0, net.ErrClosed
	}
	return len(p), nil
}

// SetWriteDeadline is gorilla's, whose writes never wait here.
func (s *socket) SetWriteDeadline(time.Time) error { return nil }

// abort ends the TCP connection. The reader finds out, and closes the socket.
// s.mu is held.
func (s *socket) abort() {
	s.shut, s.queue = true, nil
	if s.fd >= 0 {
		shutdown(s.fd)
	} else {
		s.Conn.Close()
	}
}

// abortAfter ends the TCP connection unless it has ended by then.
func (s *socket) abortAfter(wait time.Duration) {
	time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.closed {
			s.abort()
		}
	})
}

// Close closes the socket, once nobody can be writing to it. Only the reader
// calls it, so that it never reads from another's descriptor.
func (s *socket) Close() error {
	s.mu.Lock()
	s.shut, s.closed, s.fd, s.queue = true, true, -1, nil
	s.mu.Unlock()
	if s.Conn == nil { // the handshake has failed before there was one
		return nil
	}
	return s.Conn.Close()
}
