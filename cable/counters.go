package cable

import (
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/catenary-cable/catenary/cable/token"
	"github.com/catenary-cable/catenary/rpc"
)

// counters are what the server has seen since it started.
type counters struct {
	opened         atomic.Int64
	refused        atomic.Int64    // handshakes that Rails' answer ended
	subscriptions  atomic.Int64    // now, that stand
	commands       [4]atomic.Int64 // by protocol.Kind
	repeated       atomic.Int64    // subscribes that cost no call
	warnings       atomic.Int64    // from Rails
	closesLost     atomic.Int64    // close calls that never reached Rails
	broadcastsLost atomic.Int64    // that Rails has left to us, and that could not be published

	mu   sync.Mutex
	ends map[string]int64 // by why
}

// turnedAway are why handshakes are, apart from Rails' refusals.
var turnedAway = [...]string{
	"incomplete", "no_upgrade", "malformed", "origin", // the request
	"connections_per_address", "handshakes_per_second_per_address", "handshakes_per_second", "max_connections", "memory", // limits
	string(token.Missing), string(token.Repeated), string(token.TooLong), string(token.Malformed), string(token.Algorithm),
	string(token.UnknownKey), string(token.Signature), string(token.Expired), string(token.TooEarly), string(token.Issuer),
	string(token.Audience), string(token.Scope), string(token.ClaimMissing), "token_keys_unavailable",
	"rails_busy", "rails_unavailable", "stopping",
}

// unavailability is why Rails could not be asked about a handshake.
func unavailability(err error) string {
	if errors.Is(err, rpc.ErrBusy) {
		return "rails_busy"
	}
	return "rails_unavailable"
}

// endings are why connections end.
var endings = [...]string{
	"browser_closed", "browser_lost", "message_too_long", "protocol_error", "slow", // the browser
	"connect_failed", "rails_closed", "rails_failed", "lost", // Rails
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
