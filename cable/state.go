package cable

import (
	"errors"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// Rails' objects live in a Rails process, and we hold their state for the day
// on which that process is gone. Writing the state costs Rails as much as
// running a command. So it is asked for where it surely has changed; after
// other commands Rails says whether it still holds (Kept), and if not, it is
// fetched once things have been quiet for a while. A process that dies within
// that while takes the state with it: then the browser must reconnect, as it
// natively would.

// staleFor is how long the state that we hold may be an old one.
const staleFor = 500 * time.Millisecond

var errLost = errors.New("the Rails process that held the latest state is gone")

// wants says whether a call should bring the state.
func (c *Connection) wants(e errand) string {
	if len(e.touched) > 0 || e.call.Do == rpc.State || c.isUnknownToRails() {
		return rpc.State
	}
	return ""
}

// keep notes the connection's state, or that we have lost step. c.mu is held.
func (c *Connection) keep(result *rpc.Result) {
	if result.Tags != nil {
		c.tags = result.Tags
	}
	switch {
	case result.State != "":
		c.state, c.changed = result.State, true
		if c.stale != nil {
			c.stale.Stop()
			c.stale = nil
		}
	case !result.Kept && c.stale == nil && !c.ended:
		c.stale = time.AfterFunc(staleFor, c.fetchState)
	}
}

func (c *Connection) fetchState() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale != nil && !c.ended {
		c.send(errand{call: rpc.Call{Do: rpc.State}})
	}
}

func (c *Connection) isStale() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stale != nil
}
