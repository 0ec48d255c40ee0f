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

	Opened   int64
	Refused  int64             // handshakes, by Rails
	Rejected map[string]int64  // handshakes, without or despite Rails, by reason
	Refusals map[string]int64  // of Refused, by what was answered
	Guesses  map[string]string // what is behind these; of refusals by "refused_" and the reason
	Ends     map[string]int64  // of connections, by reason

	SubscriptionsRefused map[string]int64 // by limit
	Commands             map[string]int64 // by kind
	Repeated             int64            // of these, subscribes that cost no call
	Slowed               map[string]int64 // commands, by limit

	ClosesLost int64 // close calls that Rails has not answered
	Warnings   int64 // from Rails
	Pings      int64

	Backlog socket.BacklogStats
}

// Stats may be called as often as one likes: it locks nothing for long.
func (s *Server) Stats() Stats {
	sockets := s.sockets.Stats()
	stats := Stats{
		Subscriptions: int(s.count.subscriptions.Load()), Stale: int(s.count.stale.Load()),

		Opened: s.count.opened.Load(), Refused: s.admission.Refused.Sum(),
		Rejected: s.admission.Rejected.Counts(), Ends: s.count.ending(),
		Refusals: s.admission.Refused.Counts(), Guesses: s.admission.Rejected.Guesses(),

		SubscriptionsRefused: s.refused.Counts(), Slowed: s.slowed.Counts(),
		Repeated: s.count.repeated.Load() + s.relay.Repeated(), Commands: map[string]int64{},

		ClosesLost: s.closer.lost.Sum(), Warnings: s.count.warnings.Load(), Pings: sockets.Pings,

		Backlog: sockets.Backlog,
	}
	for kind, name := range [...]string{
		protocol.Unknown: "unknown", protocol.Subscribe: "subscribe", protocol.Unsubscribe: "unsubscribe", protocol.Perform: "message",
	} {
		stats.Commands[name] = s.count.commands[kind].Load()
	}
	for why, guess := range s.admission.Refused.Guesses() {
		stats.Guesses["refused_"+why] = guess
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
	ends map[string]int64 // by why
}

// endings are why connections end.
var endings = [...]string{
	"browser_closed", "browser_lost", "message_too_long", "protocol_error", "slow", // the browser
	"connect_failed", "open_timeout", "rails_closed", "rails_failed", "lost", railsRestarted, // Rails
	"remote", tokenExpired, "server_restart", // an operator
	"taken_over",             // another node
	"memory",                 // catenary
	"app_closed", "app_lost", // what is passed through
}

func (c *counters) ended(why string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[why]++
}

func (c *counters) ending() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}
