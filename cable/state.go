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
func (c *Connection) wants(q queuedCall) string {
	if len(q.touched) > 0 || q.call.Do == rpc.State || c.isUnknownToRails() {
		return rpc.State
	}
	return ""
}

// keep notes the connection's state, or that we have lost step. c.mu is held.
func (c *Connection) keep(result *rpc.Result) {
	if result.Tags != nil {
		c.tags = result.Tags
	}
	if result.State != "" {
		c.state, c.changed = result.State, true
	}
	switch {
	case result.Kept && c.stale != nil:
		c.stale.Stop()
		c.stale = nil
	case !result.Kept && c.stale == nil && !c.ended:
		c.stale = time.AfterFunc(staleFor, c.fetchState)
	}
}

// handedOver takes the state that a process which goes has sent.
func (c *Connection) handedOver(from *rpc.Process, kept rpc.Kept) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.home != from || c.version != kept.Version {
		return
	}
	c.keep(&rpc.Result{State: kept.State, Kept: true})
	for identifier, outcome := range kept.Channels {
		if s := c.subscriptions.find(identifier); s != nil && outcome != nil && outcome.State != "" {
			s.state, c.changed = outcome.State, true
		}
	}
	c.report()
}

func (c *Connection) fetchState() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stale != nil && !c.ended {
		c.enqueue(queuedCall{call: rpc.Call{Do: rpc.State}})
	}
}
