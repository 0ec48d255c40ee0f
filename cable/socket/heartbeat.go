package socket

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/protocol"
)

// BeatInterval is Rails' own time between pings
// (actioncable/lib/action_cable/server/connections.rb, BEAT_INTERVAL). Clients
// take a connection for dead after twice that.
const BeatInterval = 3 * time.Second

// phases spread the pings over the interval: Rails' one timer pings everyone
// at once.
const phases = 30

// heartbeat pings every socket that has joined once in each interval.
type heartbeat struct {
	interval time.Duration
	sent     atomic.Int64 // pings
	slots    [phases]beat
}

type beat struct {
	mu sync.Mutex
	Set
}

// join picks a phase; leave needs it and the place again.
func (h *heartbeat) join(s *Socket, place *int32) (phase int8) {
	phase = int8(rand.IntN(phases))
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.Add(s, place)
	slot.mu.Unlock()
	return phase
}

// leave reads the place under the lock: it changes when others leave.
func (h *heartbeat) leave(phase int8, place *int32) {
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.Remove(*place)
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

// StartPings has the browser pinged until StopPings.
func (s *Socket) StartPings() { s.phase = s.all.heartbeat.join(s, &s.place) }

// StopPings stops the pings, if there are any.
func (s *Socket) StopPings() {
	if s.phase >= 0 {
		s.all.heartbeat.leave(s.phase, &s.place)
		s.phase = -1
	}
}
