package socket

import (
	"context"
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
// once.
const phases = 30

// heartbeat pings every socket that has joined, once per interval.
type heartbeat struct {
	interval time.Duration
	sent     atomic.Int64 // pings
	slots    [phases]slot
}

// slot holds the sockets of one phase.
type slot struct {
	mu sync.Mutex
	Set
}

// join adds a socket to a random phase. leave needs the phase and the index.
func (h *heartbeat) join(s *Socket, index *int32) (phase int8) {
	phase = int8(rand.IntN(phases))
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.Add(s, index)
	slot.mu.Unlock()
	return phase
}

// leave reads the index under the lock, since it changes when other sockets leave.
func (h *heartbeat) leave(phase int8, index *int32) {
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.Remove(*index)
	slot.mu.Unlock()
}

func (h *heartbeat) run(ctx context.Context) {
	tick := time.NewTicker(h.interval / phases)
	defer tick.Stop()
	for phase := 0; ; phase = (phase + 1) % phases {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			slot := &h.slots[phase]
			slot.mu.Lock()
			if slot.Len() > 0 {
				h.sent.Add(int64(slot.Len()))
				slot.Write(frame(textFrame, protocol.Ping(now.Unix())), &Turns{Lock: &slot.mu})
			}
			slot.mu.Unlock()
		}
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
