package cable

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// Stats are the server's numbers. What is no number of now counts from the
// start. docs/metrics.md says what each means to an operator.
type Stats struct {
	Connections   int // now; those too of whose end Rails has yet to hear
	Handshakes    int // now under way
	Subscriptions int // now, that stand
	Stale         int // connections of which Rails now has a later state than we
	Draining      bool

	Opened          int64
	RejectedByRails int64             // handshakes
	Rejected        map[string]int64  // handshakes, without or despite Rails, by reason
	RailsRejections map[string]int64  // the same, by what Rails answered
	Guesses         map[string]string // what is behind these; of refusals by "refused_" and the reason
	Ends            map[string]int64  // of connections, by reason

	SubscriptionsRejected map[string]int64 // by limit
	Commands              map[string]int64 // by kind
	Repeated              int64            // of these, subscribes that cost no call
	Throttled             map[string]int64 // commands, by limit

	DisconnectsLost int64 // close calls that Rails has not answered
	Warnings        int64 // from Rails
	Pings           int64

	Backlog socket.BacklogStats
}

// Stats may be called as often as one likes: it locks nothing for long.
func (s *Server) Stats() Stats {
	sockets := s.sockets.Stats()
	stats := Stats{
		Subscriptions: int(s.count.subscriptions.Load()), Stale: int(s.count.stale.Load()),

		Opened: s.count.opened.Load(), RejectedByRails: s.admission.Refused.Sum(),
		Rejected: s.admission.Rejected.Counts(), Ends: s.count.ending(),
		RailsRejections: s.admission.Refused.Counts(), Guesses: s.admission.Rejected.Guesses(),

		SubscriptionsRejected: s.refused.Counts(), Throttled: s.throttled.Counts(),
		Repeated: s.count.repeated.Load() + s.relay.Repeated(), Commands: map[string]int64{},

		DisconnectsLost: s.closer.lost.Sum(), Warnings: s.count.warnings.Load(), Pings: sockets.Pings,

		Backlog: sockets.Backlog,
	}
	for kind, name := range [...]string{
		protocol.Unknown: "unknown", protocol.Subscribe: "subscribe", protocol.Unsubscribe: "unsubscribe", protocol.Perform: "message",
	} {
		stats.Commands[name] = s.count.commands[kind].Load()
	}
	for reason, guess := range s.admission.Refused.Guesses() {
		stats.Guesses["refused_"+reason] = guess
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Connections, stats.Handshakes, stats.Draining = len(s.connections), s.opening, s.draining
	return stats
}

// counters are what the server has seen since it started.
type counters struct {
	opened        atomic.Int64
	subscriptions atomic.Int64    // now, that stand
	commands      [4]atomic.Int64 // by protocol.Kind
	repeated      atomic.Int64    // subscribes that cost no call
	warnings      atomic.Int64    // from Rails
	stale         atomic.Int64    // connections, now

	mu   sync.Mutex
	ends map[string]int64 // by reason
}

// endings are the reasons why connections end.
var endings = [...]string{
	"browser_closed", "browser_lost", "message_too_long", "protocol_error", "slow", // the browser
	"connect_failed", "open_timeout", "rails_closed", "rails_failed", "state_lost", railsRestarted, // Rails
	"remote_disconnect", tokenExpired, "server_restart", // an operator
	"taken_over",             // another node
	"memory",                 // catenary
	"app_closed", "app_lost", // what is passed through
}

func (c *counters) ended(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[reason]++
}

func (c *counters) ending() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}
