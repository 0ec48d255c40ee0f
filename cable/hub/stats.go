package hub

import "github.com/catenary-cable/catenary/cable/stats"

// Stats are the hub's numbers. All but Streams count from the start.
type Stats struct {
	Streams    int             // now, our own too
	Broadcasts int64           // that came for one of them
	Invalid    int64           // of these, dropped as Rails does: no JSON
	Deliveries int64           // frames handed to sockets
	Latencies  stats.Latencies // of a broadcast, from its arrival here to its last write
	Subscribes stats.Latencies // of a stream, from its first member to the source's acknowledgement
}

func (s *Stats) add(other *Stats) {
	s.Broadcasts += other.Broadcasts
	s.Invalid += other.Invalid
	s.Deliveries += other.Deliveries
	s.Latencies.AddAll(&other.Latencies)
	s.Subscribes.AddAll(&other.Subscribes)
}

// Stats sums up the shards.
func (h *Hub) Stats() (sum Stats) {
	for i := range h.shards {
		shard := &h.shards[i]
		shard.mu.Lock()
		sum.Streams += len(shard.streams)
		shard.mu.Unlock()
		shard.seen.Lock()
		sum.add(&shard.seen.Stats)
		shard.seen.Unlock()
	}
	return sum
}
