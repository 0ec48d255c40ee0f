package cable

import (
	"encoding/json"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/catenary-cable/catenary/protocol"
)

// writeBytes is about how much goes to a socket in one write.
const writeBytes = 64 << 10

// stream is a name to which broadcasts are published, and who gets them.
type stream struct {
	name string

	// of the shard's goroutine alone
	batch     [][]byte      // what to deliver next
	delivered time.Duration // when the last batch was, since the shard's start

	mu            sync.Mutex
	live          bool
	waiting       []*member           // for live
	groups        []*group            // one an identifier, or two
	index         map[groupKey]*group // of groups, once they are many
	callbacks     []*member
	subscriptions int // of the members; the others are our own
	traffic       traffic
}

// group are the members of a stream under one identifier. They get the same
// bytes.
type group struct {
	identifier string
	head       []byte // protocol.MessageHead
	at         int32  // place in stream.groups
	deflates   bool   // the members have agreed to compressed frames
	crowd
}

// groupKey is what tells groups of a stream apart.
type groupKey struct {
	identifier string
	deflates   bool
}

func (g *group) key() groupKey { return groupKey{g.identifier, g.deflates} }

// manyGroups is where looking through the groups costs more than a map.
const manyGroups = 8

// add reports whether the stream is live.
func (s *stream) add(identifier string, m *member) (live bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.stream = s
	if m.subscription != nil {
		s.subscriptions++
	}
	if m.callback != nil {
		m.at = int32(len(s.callbacks))
		s.callbacks = append(s.callbacks, m)
	} else {
		m.group = s.group(groupKey{identifier, m.to.deflates})
		m.group.add(m)
	}
	if !s.live && m.subscription != nil {
		s.waiting = append(s.waiting, m)
	}
	return s.live
}

// remove returns how many members are left.
func (s *stream) remove(m *member) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.left = true
	if m.subscription != nil {
		s.subscriptions--
		s.forgetLeft()
	}
	if m.callback != nil {
		last := len(s.callbacks) - 1
		s.callbacks[last].at = m.at
		s.callbacks[m.at] = s.callbacks[last]
		s.callbacks[last] = nil
		s.callbacks = s.callbacks[:last]
	} else {
		m.group.remove(m)
		if len(m.group.members) == 0 {
			s.removeGroup(m.group)
		}
	}
	return len(s.groups) + len(s.callbacks)
}

// forgetLeft removes from those who wait the many that have left: Redis may be away
// for long, or never let us hear the stream.
func (s *stream) forgetLeft() {
	if len(s.waiting) > 2*s.subscriptions+fewLeft {
		s.waiting = slices.DeleteFunc(s.waiting, func(m *member) bool { return m.left })
	}
}

const fewLeft = 8

func (s *stream) group(key groupKey) *group {
	if s.index != nil {
		if g := s.index[key]; g != nil {
			return g
		}
	} else {
		for _, g := range s.groups {
			if g.key() == key {
				return g
			}
		}
	}
	g := &group{identifier: key.identifier, deflates: key.deflates, head: protocol.MessageHead(key.identifier), at: int32(len(s.groups))}
	s.groups = append(s.groups, g)
	if s.index != nil {
		s.index[key] = g
	} else if len(s.groups) > manyGroups {
		s.index = make(map[groupKey]*group, len(s.groups))
		for _, g := range s.groups {
			s.index[g.key()] = g
		}
	}
	return g
}

func (s *stream) removeGroup(g *group) {
	last := len(s.groups) - 1
	s.groups[last].at = g.at
	s.groups[g.at] = s.groups[last]
	s.groups[last] = nil
	s.groups = s.groups[:last]
	delete(s.index, g.key())
}

// acknowledge tells who waits that the stream is live.
func (s *stream) acknowledge() {
	s.mu.Lock()
	s.live = true
	waiting := s.waiting
	s.waiting = nil
	s.mu.Unlock()
	for _, m := range waiting {
		m.subscription.acknowledged(m)
	}
}

// deliver sends the batch, which was there by now, to every member. A frame is
// built once for all members under the same identifier. It returns how many
// frames were handed to sockets, and how many payloads were no JSON.
func (s *stream) deliver(now time.Duration, dropped *tally) (deliveries, invalid int) {
	batch := s.batch
	s.batch = nil
	s.mu.Lock()
	callbacks := append([]*member(nil), s.callbacks...)
	if len(s.groups) > 0 {
		plain := batch
		for _, payload := range batch {
			if !valid(payload) {
				dropped.add("no JSON", "stream", s.name, "bytes", len(payload))
				plain = only(batch, valid)
				break
			}
		}
		for _, g := range s.groups {
			g.deliver(plain)
			deliveries += len(plain) * len(g.sockets)
		}
		invalid = len(batch) - len(plain)
	}
	s.traffic.add(now, len(batch), deliveries+len(batch)*len(callbacks))
	s.mu.Unlock()
	// Callbacks may come back to the hub, so they run without the lock.
	for _, payload := range batch {
		for _, m := range callbacks {
			m.callback(payload)
		}
	}
	if cap(batch) <= 64 {
		clear(batch)
		s.batch = batch[:0]
	}
	return deliveries, invalid
}

func (g *group) deliver(batch [][]byte) {
	for len(batch) > 0 {
		size, n := 0, 0
		for n < len(batch) && (n == 0 || size < writeBytes) {
			size += len(g.head) + len(batch[n]) + 11
			n++
		}
		frames := make([]byte, 0, size)
		for _, payload := range batch[:n] {
			frames = appendFrameHead(frames, textFrame, len(g.head)+len(payload)+1)
			frames = append(append(append(frames, g.head...), payload...), protocol.MessageTail)
		}
		if g.deflates {
			frames = deflate(frames)
		}
		g.write(frames)
		batch = batch[n:]
	}
}

// valid tells whether a payload can stand in a frame as it is: Rails drops,
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
