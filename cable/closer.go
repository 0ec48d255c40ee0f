package cable

import (
	"errors"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// closer tells Rails of the connections that have ended, even if Rails is
// restarted meanwhile.
type closer struct {
	server *Server
	lost   *stats.ThrottledCounter // ends of which Rails does not know, by reason

	mu      sync.Mutex
	waiting []*Connection // until it is known that they are still ours
}

// add takes a connection that has made all its other calls. Its mu is held.
func (cl *closer) add(c *Connection) {
	if c.isUnknownToRails() {
		go cl.server.remove(c)
		return
	}
	if cl.server.lease.Sure() {
		cl.tell(c)
		return
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.waiting = append(cl.waiting, c)
	if len(cl.waiting) == 1 {
		go cl.tellOnceCertain()
	}
}

func (cl *closer) tellOnceCertain() {
	cl.server.lease.Certain(cl.server.patience, cl.server.limits.CallWait) // no longer than for Rails
	cl.mu.Lock()
	waiting := cl.waiting
	cl.waiting = nil
	cl.mu.Unlock()
	for _, c := range waiting {
		c.mu.Lock()
		cl.tell(c)
		c.mu.Unlock()
	}
}

// tell makes the call, unless another node has made it. The connection's mu is
// held.
func (cl *closer) tell(c *Connection) {
	if c.taken.Load() {
		cl.server.backend.ConnectionLeft(c.home)
		go cl.server.remove(c)
		return
	}
	call := rpc.Call{
		Connection: c.id, Do: rpc.Close, Version: c.version, Home: c.home,
		Fill: c.fill, Until: time.Now().Add(cl.server.limits.CallWait), Code: websocket.CloseNormalClosure,
	}
	if e := c.ending; e != nil {
		call.Code, call.Text, call.Failed = e.Code, e.Text, e.Failed
	}
	_, err := cl.server.backend.Do(call, func(a rpc.Answer) { cl.told(c, a) })
	if err != nil {
		go cl.told(c, rpc.Answer{Err: err})
	}
}

func (cl *closer) told(c *Connection, a rpc.Answer) {
	switch {
	case errors.Is(a.Err, errRestarted): // as natively
	case a.Err != nil:
		reason := "may_have_run"
		if errors.Is(a.Err, rpc.ErrNotSent) {
			reason = "rails_unavailable"
		}
		cl.lost.Add(reason, "error", a.Err)
	case a.Result.Error != nil:
		cl.lost.Add("not_run", "error", a.Result.Error)
	}
	cl.server.remove(c)
}
