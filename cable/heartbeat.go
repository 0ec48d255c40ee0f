package cable

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

// heartbeat pings every welcomed connection once in each interval.
type heartbeat struct {
	interval time.Duration
	sent     atomic.Int64 // pings
	slots    [phases]beat
}

type beat struct {
	mu sync.Mutex
	crowd
}

// join picks a phase; leave needs it back.
func (h *heartbeat) join(m *member) (phase int) {
	phase = rand.IntN(phases)
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.add(m)
	slot.mu.Unlock()
	return phase
}

func (h *heartbeat) leave(m *member, phase int) {
	slot := &h.slots[phase]
	slot.mu.Lock()
	slot.remove(m)
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
			if len(slot.sockets) > 0 {
				slot.write(frame(textFrame, protocol.Ping(now.Unix())))
				h.sent.Add(int64(len(slot.sockets)))
			}
			slot.mu.Unlock()
		}
	}
}
