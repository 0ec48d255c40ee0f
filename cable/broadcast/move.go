package broadcast

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

const (
	moveTimeout = 10 * time.Second // the gem waits a second longer
	maxHeld     = 4 << 20          // bytes of broadcasts held back in a move
)

// move transfers the streams of a stopping process to others without losing or repeating a
// broadcast.
//
// Both sides listen to the streams, and to a stream of our own, the marker. When all of them
// listen, one process broadcasts on the marker. Every process receives the marker at the same point
// among the other broadcasts: what came before it counts from the stopping process, what comes
// after it from the others.
type move struct {
	marker     string
	from       *rpc.Process
	to         []*rpc.Process // empty until another process has a link
	streams    []*railsStream
	unanswered int // Listen requests, before the marker is broadcast

	fromMarked bool           // from has received the marker
	toMarked   []*rpc.Process // the processes of to that have received it
	held       []received     // broadcasts from processes in toMarked, until fromMarked
	bytes      int            // of their payloads
	overflow   bool           // held was full and some were dropped
	timer      *time.Timer
}

// startMove begins to move the streams of a stopping process. It ends after moveTimeout at the
// latest. r.mu is held.
func (r *Rails) startMove(from *rpc.Process) {
	m := &move{marker: "_catenary/moved/" + rand.Text(), from: from}
	r.moves = append(r.moves, m)
	r.begin(m)
	m.timer = time.AfterFunc(moveTimeout, func() {
		r.mu.Lock()
		defer r.unlock()
		if slices.Contains(r.moves, m) {
			r.finish(m)
			r.endGap()
		}
	})
}

// begin asks the other processes to listen to the streams, and all to listen to the marker. While
// there is no other process it does nothing; ProcessReady calls it again. r.mu is held.
func (r *Rails) begin(m *move) {
	if len(r.processes) == 0 {
		return
	}
	for _, s := range r.streams {
		l := s.listener(m.from)
		if l == nil || !l.active || s.move != nil {
			continue
		}
		p := r.pick(s.name, r.processes)
		if !slices.Contains(m.to, p) {
			m.to = append(m.to, p)
		}
		r.listen(s, p).standby = true
		s.move = m
		m.streams = append(m.streams, s)
	}
	if len(m.to) == 0 {
		return // every stream is part of another move
	}
	m.unanswered = len(m.streams)
	for _, p := range append([]*rpc.Process{m.from}, m.to...) {
		m.unanswered++
		r.links.Listen(p, m.marker)
	}
}

func (m *move) involves(p *rpc.Process) bool { return m.from == p || slices.Contains(m.to, p) }

// moveWithMarker returns the move that uses a marker, or nil. r.mu is held.
func (r *Rails) moveWithMarker(marker string) *move {
	for _, m := range r.moves {
		if m.marker == marker {
			return m
		}
	}
	return nil
}

// answered counts an answer to Listen. After the last one it has the marker broadcast. r.mu is held.
func (m *move) answered(r *Rails) {
	m.unanswered--
	if m.unanswered != 0 {
		return
	}
	err := r.links.Publish(m.to[0], m.marker, []byte("{}"))
	if err != nil {
		r.finish(m)
	}
}

// marked notes that a process has received the marker. r.mu is held.
func (m *move) marked(r *Rails, p *rpc.Process) {
	if p == m.from {
		m.fromMarked = true
		m.release(r)
	} else if !slices.Contains(m.toMarked, p) {
		m.toMarked = append(m.toMarked, p)
	}
	if m.complete() {
		r.finish(m)
	}
}

// complete reports whether every process has received the marker.
func (m *move) complete() bool { return m.fromMarked && len(m.toMarked) == len(m.to) }

// received passes on what the stopping process receives before the marker, and what the others
// receive after it. The latter is held back until the stopping process has received the marker too.
// r.mu is held.
func (m *move) received(r *Rails, p *rpc.Process, b received) {
	switch {
	case p == m.from && !m.fromMarked:
		r.pass(b)
	case p == m.from || !slices.Contains(m.toMarked, p):
	case m.fromMarked:
		r.pass(b)
	case m.bytes+len(b.payload) > maxHeld:
		m.overflow = true
	default:
		m.held = append(m.held, b)
		m.bytes += len(b.payload)
	}
}

// release passes on what was held back. r.mu is held.
func (m *move) release(r *Rails) {
	for _, b := range m.held {
		r.pass(b)
	}
	m.held = nil
	m.bytes = 0
}

// finish ends a move: from now on, what the others receive counts. If not every process has received
// the marker, broadcasts may be missed. r.mu is held.
func (r *Rails) finish(m *move) {
	lossless := m.complete() && !m.overflow
	m.timer.Stop()
	r.moves = slices.DeleteFunc(r.moves, func(other *move) bool { return other == m })
	m.release(r)
	var names []string
	for _, s := range m.streams {
		s.move = nil
		for _, l := range s.listeners {
			switch {
			case l.process != m.from:
				l.standby = false
			case l.active:
				l.active = false
				r.links.Unlisten(m.from, s.name)
			}
		}
		names = append(names, s.name)
		r.acknowledge(s)
		r.forgetIfIdle(s)
	}
	for _, p := range append([]*rpc.Process{m.from}, m.to...) {
		r.links.Unlisten(p, m.marker)
	}
	r.links.Moved(m.from)
	if !lossless && len(m.to) > 0 {
		r.beginGap(fmt.Errorf("the Rails process %s stopped before others listened to its %d streams",
			m.from.ID, len(m.streams)), names...)
	}
}
