package hub

import "github.com/catenary-cable/catenary/cable/stats"

// ConnectionStreams is the prefix of the streams that carry remote disconnects:
// there is one for each connection_identifier
// (actioncable/lib/action_cable/connection/internal_channel.rb).
const ConnectionStreams = "action_cable/"

// Stats are the hub's numbers. All but Streams and Users count from the start.
type Stats struct {
	Streams    int             // now, with members here, catenary's own included
	Users      int             // now: of Streams, those that begin with ConnectionStreams
	Broadcasts int64           // received for one of them
	Unnumbered int64           // of these, on a stream with a history, but without a number
	Invalid    int64           // of these, dropped because of invalid JSON, as in Rails
	Deliveries int64           // frames handed to sockets
	Latencies  stats.Latencies // of a broadcast, from its arrival to its last write
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
	sum.Unnumbered = h.unnumbered.Sum()
	for i := range h.shards {
		shard := &h.shards[i]
		shard.mu.Lock()
		sum.Streams += len(shard.streams)
		sum.Users += shard.users
		shard.mu.Unlock()
		shard.counts.Lock()
		sum.add(&shard.counts.Stats)
		shard.counts.Unlock()
	}
	return sum
}
