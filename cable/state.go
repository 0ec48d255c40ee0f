package cable

import (
	"errors"

	"github.com/catenary-cable/catenary/rpc"
)

// Rails' objects live in a Rails process, and we hold their state for the day
// on which that process is gone. Writing the state costs Rails as much as
// running a command, so it hands it over when it has nothing else to do, and
// with the end of each call says whether we have it all. A process that dies
// before takes the state with it: then the browser must reconnect, as it
// natively would.

var errLost = errors.New("the Rails process that held the latest state is gone")

// noteObjects notes where a call that has run has left the connection's objects,
// and what it says of their state. It must run before anything that Rails says
// later. c.mu is held.
func (c *Connection) noteObjects(at *rpc.Process, result *rpc.Result) {
	if at == nil && c.server.restart.Reconnect {
		c.server.unseen.Do(func() {
			c.server.log.Warn("backend.restart: reconnect has no effect while calls go by POST, which does not tell Rails' processes apart")
		})
	}
	if c.home != at {
		c.changed = true
	}
	c.home, c.version = at, result.Version
	if result.Tags != nil {
		c.tags = result.Tags
	}
	c.keep(result.State, result.Kept)
}

// keep notes the connection's own state, and whether we have all of it. c.mu is held.
func (c *Connection) keep(state string, all bool) {
	if state != "" {
		c.state, c.changed = state, true
	}
	c.countStale(-1)
	c.stale = !all
	c.countStale(1)
}

// countStale counts only those that have not ended. c.mu is held.
func (c *Connection) countStale(by int64) {
	if c.stale && !c.ended {
		c.server.count.stale.Add(by)
	}
}

// handedOver takes the state that we lacked.
func (c *Connection) handedOver(from *rpc.Process, kept rpc.Kept) {
	defer c.warn(kept.Warnings)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.home != from || c.version != kept.Version {
		return // there has been a call since
	}
	c.keep(kept.State, true)
	for identifier, outcome := range kept.Channels {
		if s := c.subscriptions.find(identifier); s != nil && outcome != nil && outcome.State != "" {
			s.state, c.changed = outcome.State, true
		}
	}
	if c.started {
		c.report()
	}
}

// warn passes on what Rails warns of.
func (c *Connection) warn(warnings []string) {
	for _, warning := range warnings {
		c.log().Warn("warning from Rails", "warning", warning)
	}
	c.server.count.warnings.Add(int64(len(warnings)))
}
