package cable

import (
	"errors"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// closer makes the close calls, in which Rails runs the disconnect callbacks of
// closed connections. It waits for a Rails that restarts.
type closer struct {
	server *Server
	lost   *stats.ThrottledCounter // close calls that failed, by reason

	mu        sync.Mutex
	uncertain []*Connection // another node may have taken them over
}

// add makes the close call of a connection that has no other call left. c.mu is held.
func (cl *closer) add(c *Connection) {
	if c.isUnknownToRails() {
		go cl.server.remove(c)
		return
	}
	if cl.server.lease.Valid() {
		cl.call(c)
		return
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.uncertain = append(cl.uncertain, c)
	if len(cl.uncertain) == 1 {
		go cl.callWhenCertain()
	}
}

// callWhenCertain makes the calls as soon as this node knows whether it still holds
// its lease, but waits no longer than it would for Rails.
func (cl *closer) callWhenCertain() {
	cl.server.lease.WaitValid(cl.server.serving, cl.server.limits.CallWait)
	cl.mu.Lock()
	connections := cl.uncertain
	cl.uncertain = nil
	cl.mu.Unlock()
	for _, c := range connections {
		c.mu.Lock()
		cl.call(c)
		c.mu.Unlock()
	}
}

// call makes the close call, unless another node has made it. c.mu is held.
func (cl *closer) call(c *Connection) {
	if c.takenOver.Load() {
		cl.server.backend.ConnectionLeft(c.process)
		go cl.server.remove(c)
		return
	}
	call := &rpc.Call{
		Connection: c.id, Do: rpc.Close, Version: c.version, Home: c.process,
		Fill: c.fill, Until: time.Now().Add(cl.server.limits.CallWait), Code: websocket.CloseNormalClosure,
	}
	if e := c.browserEnding; e != nil {
		call.Code = e.Code
		call.Text = e.Text
		call.Failed = e.Failed
	}
	_, err := cl.server.backend.Do(call, func(a rpc.Answer) { cl.answered(c, a) })
	if err != nil {
		go cl.answered(c, rpc.Answer{Err: err})
	}
}

func (cl *closer) answered(c *Connection, a rpc.Answer) {
	switch {
	case errors.Is(a.Err, errProcessGone): // as without catenary, no callbacks run
	case errors.Is(a.Err, rpc.ErrNotSent):
		cl.lost.Add("rails_unavailable", "error", a.Err)
	case a.Err != nil:
		cl.lost.Add("may_have_run", "error", a.Err)
	case a.Result.Error != nil:
		cl.lost.Add("not_run", "error", a.Result.Error)
	default:
		c.mu.Lock()
		c.applyOps(a.Result.Ops) // reports of exceptions
		c.mu.Unlock()
	}
	cl.server.remove(c)
}
