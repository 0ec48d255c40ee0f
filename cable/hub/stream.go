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

// stream is a name to which broadcasts are published, and its members.
type stream struct {
	name string

	// owned by the goroutine that delivers: shard.run or shard.serve
	batch      [][]byte      // payloads to deliver next
	delivering []*group      // copy of groups, while deliver runs
	delivered  time.Duration // end of the last delivery, since the shard's start

	served  atomic.Bool // shard.serve runs for it
	waiting []delivery  // for shard.serve; guarded by the shard's queue

	mu            sync.Mutex
	live          bool                // the source has acknowledged it
	pending       []*Member           // to notify when it is live
	groups        []*group            // one per identifier, two if some members' frames are compressed
	index         map[groupKey]*group // of groups; nil up to maxUnindexed
	callbacks     []*Member
	subscriptions int // members with a Subscriber; the others are catenary's own
	traffic       traffic
}

// add adds a member and reports whether the stream is live.
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
		s.pending = append(s.pending, m)
	}
	return s.live
}

// remove removes a member and returns how many groups and callbacks are left.
func (s *stream) remove(m *Member) (left int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.left = true
	if m.Subscriber != nil {
		s.subscriptions--
		s.prunePending()
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

// prunePending drops from pending the members that have left, when they are the majority.
// Redis may be down for long, or never acknowledge the stream.
func (s *stream) prunePending() {
	if len(s.pending) > 2*s.subscriptions+keptPending {
		s.pending = slices.DeleteFunc(s.pending, func(m *Member) bool { return m.left })
	}
}

const keptPending = 8

func (s *stream) isLarge() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.subscriptions > largeStream
}

// resetLive has the stream wait for a new acknowledgement. It returns false if the stream
// waits for one already.
func (s *stream) resetLive() (wasLive bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wasLive, s.live = s.live, false
	return wasLive
}

// acknowledge makes the stream live and notifies pending members.
func (s *stream) acknowledge() {
	s.mu.Lock()
	s.live = true
	pending := s.pending
	s.pending = nil
	s.mu.Unlock()
	for _, m := range pending {
		m.Subscriber.Live(m)
	}
}

// deliver sends the batch to every member. It builds a frame once for all members with
// the same identifier. It returns how many frames it has handed to sockets and how many
// payloads were invalid JSON. Members may join and leave meanwhile; those that join get
// the next batch.
func (s *stream) deliver(now time.Duration, dropped *stats.ThrottledCounter) (frames, invalid int) {
	batch := s.batch
	s.batch = nil
	marks := cutMarks(batch)
	s.mu.Lock()
	callbacks := slices.Clone(s.callbacks)
	var bad []bool // by the payload's index; nil: none is invalid JSON
	if len(s.groups) > 0 || slices.ContainsFunc(callbacks, func(m *Member) bool { return m.Sends }) {
		bad, invalid = findInvalid(batch)
	}
	if invalid > 0 {
		dropped.Add("invalid JSON", "stream", s.name, "bytes", len(batch[slices.Index(bad, true)]))
	}
	if len(s.groups) > 0 {
		messages, pages := batch, marks
		if invalid > 0 {
			messages, pages = onlyValid(batch, marks, bad)
		}
		s.delivering = append(s.delivering, s.groups...)
		turns := socket.Turns{Lock: &s.mu}
		for i := 0; i < len(messages); {
			n, except := pages.run(i, len(messages))
			for _, g := range s.delivering {
				frames += g.deliver(messages[i:i+n], except, &turns)
			}
			i += n
		}
		clear(s.delivering)
		s.delivering = s.delivering[:0]
	}
	s.traffic.add(now, len(batch), frames+len(batch)*len(callbacks))
	s.mu.Unlock()
	// Callbacks may call the hub, so they run without the lock.
	if len(callbacks) > 0 {
		for i, payload := range batch {
			mark := marks.of(i)
			text := string(payload) // one copy for all callbacks
			for _, m := range callbacks {
				others := mark.except != 0 && m.Socket != nil && m.Socket.Page == mark.except
				isBad := bad != nil && bad[i]
				m.Callback(Broadcast{text, mark.position, others, isBad})
				if m.Sends && !others && !isBad {
					frames++
				}
			}
		}
	}
	if cap(batch) <= maxReusedBatch {
		clear(batch)
		s.batch = batch[:0]
	}
	return frames, invalid
}

// maxReusedBatch is the capacity up to which a stream keeps its batch for the next one.
const maxReusedBatch = 64

// Valid reports whether a payload can be part of a frame. Rails drops, and logs, what Ruby cannot
// parse. Members with a callback get all payloads.
func Valid(payload []byte) bool { return json.Valid(payload) && utf8.Valid(payload) }

// findInvalid tells which payloads are invalid, and how many; nil if none is.
func findInvalid(batch [][]byte) (bad []bool, invalid int) {
	for i, payload := range batch {
		if Valid(payload) {
			continue
		}
		if bad == nil {
			bad = make([]bool, len(batch))
		}
		bad[i] = true
		invalid++
	}
	return bad, invalid
}

func onlyValid(batch [][]byte, all marks, bad []bool) (kept [][]byte, keptMarks marks) {
	for i, payload := range batch {
		if !bad[i] {
			kept = append(kept, payload)
			if all != nil {
				keptMarks = append(keptMarks, all[i])
			}
		}
	}
	return kept, keptMarks
}
