package hub

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/cable/stats"
)

// stream is a name to which broadcasts are published, and who gets them.
type stream struct {
	name string

	// of whoever delivers alone, the shard's goroutine or the stream's own
	batch     [][]byte      // what to deliver next
	walk      []*group      // those that are delivered to
	delivered time.Duration // when the last batch was, since the shard's start

	busy   atomic.Bool // it has a goroutine of its own, which delivers
	behind []delivery  // to that; guarded by the shard's queue

	mu            sync.Mutex
	live          bool
	waiting       []*Member           // for live
	groups        []*group            // one an identifier, or two
	index         map[groupKey]*group // of groups, once they are many
	callbacks     []*Member
	subscriptions int // of the members; the others are our own
	traffic       traffic
}

// add reports whether the stream is live.
func (s *stream) add(identifier string, m *Member) (live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.stream = s
	if m.Subscriber != nil {
		s.subscriptions++
	}
	if m.Callback != nil {
		m.place = int32(len(s.callbacks))
		s.callbacks = append(s.callbacks, m)
	} else {
		m.group = s.group(groupKey{identifier, m.Socket.Deflates()})
		m.group.Add(m.Socket, &m.place)
	}
	if !s.live && m.Subscriber != nil {
		s.waiting = append(s.waiting, m)
	}
	return s.live
}

// remove returns how many members are left.
func (s *stream) remove(m *Member) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.left = true
	if m.Subscriber != nil {
		s.subscriptions--
		s.forgetLeft()
	}
	if m.Callback != nil {
		last := len(s.callbacks) - 1
		s.callbacks[last].place = m.place
		s.callbacks[m.place] = s.callbacks[last]
		s.callbacks[last] = nil
		s.callbacks = s.callbacks[:last]
	} else {
		m.group.Remove(m.place)
		if m.group.Len() == 0 {
			s.removeGroup(m.group)
		}
	}
	return len(s.groups) + len(s.callbacks)
}

// forgetLeft removes from those who wait the many that have left: Redis may be away
// for long, or never let us hear the stream.
func (s *stream) forgetLeft() {
	if len(s.waiting) > 2*s.subscriptions+fewLeft {
		s.waiting = slices.DeleteFunc(s.waiting, func(m *Member) bool { return m.left })
	}
}

const fewLeft = 8

func (s *stream) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscriptions > crowd
}

// doubt has a live stream wait for another acknowledgement; it reports false if
// one is outstanding.
func (s *stream) doubt() (live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live, s.live = s.live, false
	return live
}

// acknowledge tells who waits that the stream is live.
func (s *stream) acknowledge() {
	s.mu.Lock()
	s.live = true
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, m := range waiting {
		m.Subscriber.Live(m)
	}
}

// deliver sends the batch, which was there by now, to every member. A frame is
// built once for all members under the same identifier. It returns how many
// frames were handed to sockets, and how many payloads were no JSON. Members
// come and go meanwhile; who comes gets the next batch.
func (s *stream) deliver(now time.Duration, dropped *stats.ThrottledCounter) (deliveries, invalid int) {
	batch := s.batch
	s.batch = nil
	s.mu.Lock()
	callbacks := append([]*Member(nil), s.callbacks...)
	if len(s.groups) > 0 {
		plain := batch
		for _, payload := range batch {
			if !valid(payload) {
				dropped.Add("no JSON", "stream", s.name, "bytes", len(payload))
				plain = only(batch, valid)
				break
			}
		}
		s.walk = append(s.walk, s.groups...)
		turns := socket.Turns{Lock: &s.mu}
		for _, g := range s.walk {
			deliveries += len(plain) * g.Len()
			g.deliver(plain, &turns)
		}
		clear(s.walk)
		s.walk = s.walk[:0]
		invalid = len(batch) - len(plain)
	}
	s.traffic.add(now, len(batch), deliveries+len(batch)*len(callbacks))
	s.mu.Unlock()
	// Callbacks may come back to the hub, so they run without the lock.
	if len(callbacks) > 0 {
		for _, payload := range batch {
			text := string(payload) // one for all, however many have to wait
			for _, m := range callbacks {
				m.Callback(text)
			}
		}
	}
	if cap(batch) <= 64 {
		clear(batch)
		s.batch = batch[:0]
	}
	return deliveries, invalid
}

// valid reports whether a payload can stand in a frame as it is: Rails drops,
// with a line in the log, what Ruby cannot parse.
func valid(payload []byte) bool { return json.Valid(payload) && utf8.Valid(payload) }

func only(batch [][]byte, keep func([]byte) bool) (kept [][]byte) {
	for _, payload := range batch {
		if keep(payload) {
			kept = append(kept, payload)
		}
	}
	return kept
}
