package cable

import (
	"errors"

	"github.com/catenary-cable/catenary/rpc"
)

// A connection's objects live in one Rails process. catenary keeps a copy of their
// state, so that another process can rebuild them when that one is gone. Dumping
// the state costs Rails as much as a command, so the process hands it over when it
// is idle; each result says whether catenary has the latest. If the process dies
// before it hands over, the browser must reconnect, as it does without catenary.

var errStateLost = errors.New("the Rails process that held the latest state is gone")

// noteProcess notes which process holds the objects after a call, and whether
// catenary has their latest state. It must run before frames that follow the result
// are handled. c.mu is held.
func (c *Connection) noteProcess(p *rpc.Process, result *rpc.Result) {
	if p == nil && c.server.restart.Reconnect {
		c.server.warnRestarts.Do(func() {
			c.server.log.Warn("backend.restart: reconnect has no effect while calls go by POST, " +
				"which does not tell Rails' processes apart")
		})
	}
	if c.process != p {
		c.recordChanged = true
	}
	c.process = p
	c.version = result.Version
	if result.Tags != nil {
		c.tags = result.Tags
	}
	c.keepState(result.State, result.Latest)
}

// keepState keeps the connection's own state, unless it is "" (unchanged), and notes
// whether catenary has the latest state of all objects. c.mu is held.
func (c *Connection) keepState(state string, latest bool) {
	if state != "" {
		c.state = state
		c.recordChanged = true
	}
	c.countStale(-1)
	c.stale = !latest
	c.countStale(1)
}

// countStale adds to the number of stale connections. Closed ones do not count.
// c.mu is held.
func (c *Connection) countStale(by int64) {
	if c.stale && !c.closed {
		c.server.count.stale.Add(by)
	}
}

// receiveState keeps the state that a process hands over after a call, unless another
// call has run since.
func (c *Connection) receiveState(from *rpc.Process, kept rpc.Kept) {
	defer c.warn(kept.Warnings)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.process != from || c.version != kept.Version {
		return
	}
	c.keepState(kept.State, true)
	for identifier, outcome := range kept.Channels {
		if s := c.subscriptions.find(identifier); s != nil && outcome != nil && outcome.State != "" {
			s.state = outcome.State
			c.recordChanged = true
		}
	}
	if c.started {
		c.reportChange()
	}
}

// warn logs and counts Rails' warnings.
func (c *Connection) warn(warnings []string) {
	for _, warning := range warnings {
		c.log().Warn("warning from Rails", "warning", warning)
	}
	c.server.count.warnings.Add(int64(len(warnings)))
}
