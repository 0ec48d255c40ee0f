package broadcast

import (
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

const (
	moveWait = 2 * time.Second // for a move to be over
	maxHeld  = 4 << 20         // bytes of broadcasts that wait for their turn in a move
)

// move is what happens when a process goes that listens for us: others listen
// to its streams, and a broadcast on a stream of our own, the marker, says where
// the one's word ends and the others' begins. All of them hear it at the same
// place among the rest. So nothing is lost and nothing comes twice.
type move struct {
	marker  string
	from    *rpc.Process
	to      []*rpc.Process // nobody yet, if the only process goes that we know of
	streams []*railsStream
	awaited int // answers, before the marker is broadcast

	ended bool           // from has heard the marker
	begun []*rpc.Process // of to, those that have
	held  []arrival      // of these, until from has
	bytes int            // of held
	over  bool           // too much was held
	timer *time.Timer
}

// ProcessStopping has others listen in place of a process that will end.
func (r *Rails) ProcessStopping(p *rpc.Process) {
	r.mu.Lock()
	defer r.unlock()
	r.present = slices.DeleteFunc(r.present, func(other *rpc.Process) bool { return other == p })
	listens := false
	for _, s := range r.streams {
		e := s.ear(p)
		listens = listens || e != nil && e.told
	}
	if p.Local || !listens || len(r.present) == 0 && p.Count < 2 { // until its end nobody else can listen
		r.processes.Moved(p)
		return
	}
	m := &move{marker: "_catenary/moved/" + rand.Text(), from: p}
	r.moves = append(r.moves, m)
	r.begin(m)
	m.timer = time.AfterFunc(moveWait, func() {
		r.mu.Lock()
		defer r.unlock()
		if slices.Contains(r.moves, m) {
			r.finish(m)
			r.settle()
		}
	})
}

// begin asks the others for the streams and for the marker.
func (r *Rails) begin(m *move) {
	if len(r.present) == 0 {
		return // a sibling has come, perhaps, that has no link yet
	}
	for _, s := range r.streams {
		e := s.ear(m.from)
		if e == nil || !e.told || s.move != nil {
			continue
		}
		p := r.home(s.name, r.present)
		if !slices.Contains(m.to, p) {
			m.to = append(m.to, p)
		}
		r.tell(s, p).silent = true
		s.move = m
		m.streams = append(m.streams, s)
	}
	if len(m.to) == 0 {
		return // all of its streams are on the move already
	}
	m.awaited = len(m.streams)
	for _, p := range append([]*rpc.Process{m.from}, m.to...) {
		m.awaited++
		r.processes.Listen(p, m.marker)
	}
}

func (m *move) concerns(p *rpc.Process) bool { return m.from == p || slices.Contains(m.to, p) }

// moveBy finds the move that has that marker. r.mu is held.
func (r *Rails) moveBy(marker string) *move {
	for _, m := range r.moves {
		if m.marker == marker {
			return m
		}
	}
	return nil
}

// acknowledged counts an answer. When all are there, the marker is broadcast.
func (m *move) acknowledged(r *Rails) {
	if m.awaited--; m.awaited == 0 {
		if err := r.processes.Publish(m.to[0], m.marker, []byte("{}")); err != nil {
			r.finish(m)
		}
	}
}

// marked notes that a process has heard the marker.
func (m *move) marked(r *Rails, p *rpc.Process) {
	if p == m.from {
		m.ended = true
		m.release(r)
	} else if !slices.Contains(m.begun, p) {
		m.begun = append(m.begun, p)
	}
	if m.ended && len(m.begun) == len(m.to) {
		r.finish(m)
	}
}

// heard hands on what comes before the marker from the one, and after it from
// the others.
func (m *move) heard(r *Rails, p *rpc.Process, a arrival) {
	switch {
	case p == m.from && !m.ended:
		r.pass(a)
	case p == m.from || !slices.Contains(m.begun, p):
	case m.ended:
		r.pass(a)
	case m.bytes+len(a.payload) > maxHeld:
		m.over = true
	default:
		m.held = append(m.held, a)
		m.bytes += len(a.payload)
	}
}

func (m *move) release(r *Rails) {
	for _, a := range m.held {
		r.pass(a)
	}
	m.held, m.bytes = nil, 0
}

// finish gives the others the word. If they have not all heard the marker, what
// was broadcast meanwhile may be missed. r.mu is held.
func (r *Rails) finish(m *move) {
	whole := m.ended && len(m.begun) == len(m.to) && !m.over
	nobody := len(m.to) == 0
	m.timer.Stop()
	r.moves = slices.DeleteFunc(r.moves, func(other *move) bool { return other == m })
	m.release(r)
	var names []string
	for _, s := range m.streams {
		s.move = nil
		for _, e := range s.ears {
			switch {
			case e.process != m.from:
				e.silent = false
			case e.told:
				e.told = false
				r.processes.Unlisten(m.from, s.name)
			}
		}
		names = append(names, s.name)
		r.acknowledge(s)
		r.forgetIfIdle(s)
	}
	for _, p := range append([]*rpc.Process{m.from}, m.to...) {
		r.processes.Unlisten(p, m.marker)
	}
	r.processes.Moved(m.from)
	if !whole && !nobody {
		r.lose(fmt.Errorf("the Rails process %s has ended before others listened to its %d streams", m.from.ID, len(m.streams)), names...)
	}
}
