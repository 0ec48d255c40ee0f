package socket

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/protocol"
)

// BeatInterval is Rails' time between pings (actioncable/lib/action_cable/server/connections.rb,
// BEAT_INTERVAL). Clients consider a connection dead after twice that.
const BeatInterval = 3 * time.Second

// phases spreads the pings over the interval. Rails has one timer, which pings all browsers at
// once. Few browsers share few phases: that the process wakes costs it more than twenty pings.
const (
	phases   = 30
	perPhase = 64 // browsers, before the next phase is used
)

// heartbeat pings every socket that has joined, once per interval.
type heartbeat struct {
	interval time.Duration
	started  time.Time
	sent     atomic.Int64 // pings
	joined   atomic.Int64 // sockets now
	stopped  atomic.Bool
	slots    [phases]slot
}

// slot holds the sockets of one phase.
type slot struct {
	mu sync.Mutex
	Set
	timer *time.Timer // of the next beat; nil: there are no sockets
}

// join adds a socket to a random one of the phases that are used. leave needs the phase and the index.
func (h *heartbeat) join(s *Socket, index *int32) (phase int8) {
	used := min(1+h.joined.Add(1)/perPhase, phases)
	phase = int8(rand.Int64N(used))
	slot := &h.slots[phase]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	slot.Add(s, index)
	if slot.timer == nil && !h.stopped.Load() {
		slot.timer = time.AfterFunc(h.pause(phase), func() { h.beat(phase) })
	}
	return phase
}

// leave reads the index under the lock, since it changes when other sockets leave.
func (h *heartbeat) leave(phase int8, index *int32) {
	h.joined.Add(-1)
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.Remove(*index)
	slot.mu.Unlock()
}

// pause returns the time until the next beat of a phase.
func (h *heartbeat) pause(phase int8) time.Duration {
	last := (time.Since(h.started) - time.Duration(phase)*h.interval/phases) % h.interval
	if last < 0 {
		return -last
	}
	return h.interval - last
}

// beat pings the sockets of a phase, and again after the interval unless none is left.
func (h *heartbeat) beat(phase int8) {
	slot := &h.slots[phase]
	slot.mu.Lock()
	defer slot.mu.Unlock()
	if slot.Len() == 0 {
		slot.timer = nil
		return
	}
	h.sent.Add(int64(slot.Len()))
	slot.Write(frame(textFrame, protocol.Ping(time.Now().Unix())), &Turns{Lock: &slot.mu})
	if !h.stopped.Load() {
		slot.timer.Reset(h.pause(phase))
	}
}

// stop stops the pings.
func (h *heartbeat) stop() {
	h.stopped.Store(true)
	for i := range h.slots {
		slot := &h.slots[i]
		slot.mu.Lock()
		if slot.timer != nil {
			slot.timer.Stop()
		}
		slot.mu.Unlock()
	}
}

// StartPings pings the browser until StopPings.
func (s *Socket) StartPings() { s.phase = s.shared.heartbeat.join(s, &s.index) }

// StopPings stops the pings, if they were started.
func (s *Socket) StopPings() {
	if s.phase >= 0 {
		s.shared.heartbeat.leave(s.phase, &s.index)
		s.phase = -1
	}
}
