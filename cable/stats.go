package cable

import "github.com/catenary-cable/catenary/protocol"

// Stats are the server's numbers. What is no number of now counts from the
// start. docs/metrics.md says what each means to an operator.
type Stats struct {
	Connections   int // now; those too of whose end Rails has yet to hear
	Handshakes    int // now under way
	Subscriptions int // now, that stand
	Draining      bool

	Opened     int64
	Refused    int64            // handshakes, by Rails
	TurnedAway map[string]int64 // handshakes, without or despite Rails, by why
	Ends       map[string]int64 // of connections, by why

	SubscriptionsRefused map[string]int64 // by limit
	Commands             map[string]int64 // by kind
	Repeated             int64            // of these, subscribes that cost no call
	Slowed               map[string]int64 // commands, by limit

	ClosesLost     int64 // close calls that never reached Rails
	BroadcastsLost int64 // that Rails has left to us, and that could not be published
	Warnings       int64 // from Rails
	Pings          int64

	Queues QueueStats
}

// Stats may be called as often as one likes: it locks nothing for long.
func (s *Server) Stats() Stats {
	stats := Stats{
		Subscriptions: int(s.count.subscriptions.Load()),

		Opened: s.count.opened.Load(), Refused: s.count.refused.Load(),
		TurnedAway: s.turnedAway.counts(), Ends: s.count.ending(),

		SubscriptionsRefused: s.refused.counts(), Slowed: s.slowed.counts(),
		Repeated: s.count.repeated.Load(), Commands: map[string]int64{},

		ClosesLost: s.count.closesLost.Load(), BroadcastsLost: s.count.broadcastsLost.Load(),
		Warnings: s.count.warnings.Load(), Pings: s.heartbeat.sent.Load(),

		Queues: s.queues.stats(),
	}
	for kind, name := range [...]string{
		protocol.Unknown: "unknown", protocol.Subscribe: "subscribe", protocol.Unsubscribe: "unsubscribe", protocol.Perform: "message",
	} {
		stats.Commands[name] = s.count.commands[kind].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Connections, stats.Handshakes, stats.Draining = len(s.connections), s.opening, s.draining
	return stats
}

// HubStats are the hub's numbers. All but Streams count from the start.
type HubStats struct {
	Streams    int       // now, our own too
	Broadcasts int64     // that came for one of them
	Invalid    int64     // of these, dropped as Rails does: no JSON
	Deliveries int64     // frames handed to sockets
	Latencies  Latencies // of a broadcast, from its arrival here to its last write
	Subscribes Latencies // of a stream, from its first member to the source's acknowledgement
}

func (h *HubStats) add(other *HubStats) {
	h.Broadcasts += other.Broadcasts
	h.Invalid += other.Invalid
	h.Deliveries += other.Deliveries
	h.Latencies.addAll(&other.Latencies)
	h.Subscribes.addAll(&other.Subscribes)
}

// Stats sums up the shards.
func (h *Hub) Stats() (sum HubStats) {
	for i := range h.shards {
		shard := &h.shards[i]
		shard.mu.Lock()
		sum.Streams += len(shard.streams)
		shard.mu.Unlock()
		shard.seen.Lock()
		sum.add(&shard.seen.HubStats)
		shard.seen.Unlock()
	}
	return sum
}
