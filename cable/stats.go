package cable

import (
	"maps"
	"sync"
	"sync/atomic"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/protocol"
)

// Stats are the server's numbers. docs/metrics.md says what each means to an operator.
type Stats struct {
	// now
	Connections   int // until Rails has run their disconnect callbacks
	Handshakes    int // in flight
	Subscriptions int // that Rails holds or catenary has verified
	Stale         int // connections whose Rails process has a later state than catenary
	Refreshes     int // of Turbo pages, that wait for their turn
	Draining      bool
	Backlog       socket.BacklogStats

	// since the start
	Opened                int64             // connections
	Ends                  map[string]int64  // connections closed, by reason
	Rejected              map[string]int64  // handshakes that catenary has rejected, by reason
	RejectedByRails       int64             // handshakes
	RailsRejections       map[string]int64  // the same by reason, guessed from Rails' answer
	Guesses               map[string]string // likely causes by reason; RailsRejections' have "refused_" in front
	SubscriptionsRejected map[string]int64  // by limit
	Commands              map[string]int64  // by kind
	Repeated              int64             // of these, subscribes that needed no call
	Throttled             map[string]int64  // commands, by limit
	DisconnectsLost       int64             // close calls that Rails did not run, or may not have run
	Warnings              int64             // from Rails
	Pings                 int64
	Histories             map[string]int64 // that browsers asked for, by outcome
	CatchUps              map[string]int64 // Turbo pages that subscribed or stayed, by outcome

	Channels map[string]stats.ChannelCounts // by class
}

// Stats returns the numbers. It holds each lock only briefly.
func (s *Server) Stats() Stats {
	sockets := s.sockets.Stats()
	stats := Stats{
		Subscriptions: int(s.count.subscriptions.Load()),
		Stale:         int(s.count.stale.Load()),
		Refreshes:     int(s.count.refreshes.Load()),
		Backlog:       sockets.Backlog,

		Opened:                s.count.opened.Load(),
		Ends:                  s.count.closedByReason(),
		Rejected:              s.admission.Rejected.Counts(),
		RejectedByRails:       s.admission.RejectedByRails.Sum(),
		RailsRejections:       s.admission.RejectedByRails.Counts(),
		Guesses:               s.admission.Rejected.Guesses(),
		SubscriptionsRejected: s.subscriptionsRejected.Counts(),
		Commands:              map[string]int64{},
		Repeated:              s.count.repeated.Load() + s.relay.Repeated(),
		Throttled:             s.commandsThrottled.Counts(),
		DisconnectsLost:       s.closer.lost.Sum(),
		Warnings:              s.count.warnings.Load(),
		Pings:                 sockets.Pings,
		Histories:             s.histories.Counts(),
		CatchUps:              s.catchUps.Counts(),
		Channels:              s.channels.Counts(),
	}
	for kind, name := range [...]string{
		protocol.Unknown: "unknown", protocol.Subscribe: "subscribe",
		protocol.Unsubscribe: "unsubscribe", protocol.Perform: "message",
	} {
		stats.Commands[name] = s.count.commands[kind].Load()
	}
	for reason, guess := range s.admission.RejectedByRails.Guesses() {
		stats.Guesses["refused_"+reason] = guess
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Connections = len(s.connections)
	stats.Handshakes = s.opening
	stats.Draining = s.draining
	return stats
}

// counters are what the server counts itself.
type counters struct {
	opened        atomic.Int64    // connections
	subscriptions atomic.Int64    // now
	commands      [4]atomic.Int64 // by protocol.Kind
	repeated      atomic.Int64    // subscribes that needed no call
	warnings      atomic.Int64    // from Rails
	stale         atomic.Int64    // connections, now
	refreshes     atomic.Int64    // that wait, now

	mu   sync.Mutex
	ends map[string]int64 // connections closed, by reason
}

// endReasons are the reasons for which connections are closed.
var endReasons = [...]string{
	"browser_closed", "browser_lost", "message_too_long", "protocol_error", "slow", // the browser
	"connect_failed", "open_timeout", "rails_closed", "rails_failed", "state_lost", railsRestarted, // Rails
	"remote_disconnect", tokenExpired, "server_restart", // an operator
	"taken_over",             // another node
	"memory",                 // catenary
	"app_closed", "app_lost", // the app's own Action Cable
}

// init starts every reason at zero, so that Prometheus sees the first event of each.
func (c *counters) init() {
	c.ends = map[string]int64{}
	for _, reason := range endReasons {
		c.ends[reason] = 0
	}
}

func (c *counters) closed(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[reason]++
}

func (c *counters) closedByReason() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.ends)
}
