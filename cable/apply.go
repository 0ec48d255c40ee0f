package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// apply does what Rails has answered, in its order.
func (c *Connection) apply(result *rpc.Result, of queuedCall) {
	c.warn(result.Warnings)
	c.mu.Lock()
	closed := c.do(result.Ops)
	now := time.Now()
	for _, t := range of.touched {
		t.unknown = time.Time{}
		if t.kind == protocol.Subscribe && !t.live && !t.rejected {
			t.unknown = now.Add(unknownFor) // unless it stands in what follows
		}
	}
	for identifier, outcome := range result.Channels {
		c.settle(identifier, outcome)
	}
	c.setBeat(result.Beat)
	if of.tick != nil {
		of.tick.underway = false
	}
	for _, s := range of.touched {
		s.queued--
		if s.queued == 0 {
			s.wanted = s.live
			if s.forgettable(now) {
				c.subscriptions.remove(s.subscription)
			}
		}
	}
	if closed {
		c.calls = nil // as natively, nothing runs after the close
	}
	c.report()
	c.mu.Unlock()
	switch {
	case closed && result.Raised:
		c.end("connect_failed", nil)
	case closed:
		c.end("rails_closed", nil)
	}
}

// effects does what happens in Rails while a call runs, or after it. Until the
// browser has its 101, it waits.
func (c *Connection) effects(ops []rpc.Op) {
	c.mu.Lock()
	if !c.started {
		c.keepBacklog(ops)
		c.mu.Unlock()
		return
	}
	closed := c.do(ops)
	if closed {
		c.calls = nil
	}
	c.report()
	c.mu.Unlock()
	if closed {
		c.end("rails_closed", nil)
	}
}

// keepBacklog has effects wait for the 101, no more than may wait for a slow
// browser. c.mu is held.
func (c *Connection) keepBacklog(ops []rpc.Op) {
	for _, op := range ops {
		c.backlogBytes += len(op.Frame) + len(op.Identifier) + len(op.Stream)
	}
	if c.backlogBytes <= c.server.limits.Socket.PendingBytes {
		c.backlog = append(c.backlog, ops...)
	}
}

// do runs ops; closed tells that Rails has closed the connection. c.mu is held.
func (c *Connection) do(ops []rpc.Op) (closed bool) {
	for _, op := range ops {
		if c.ended {
			return false
		}
		switch op.Kind {
		case rpc.OpSend:
			c.welcomed = c.welcomed || op.Frame == protocol.Welcome
			c.socket.SendText(op.Frame)
		case rpc.OpConfirm:
			s := c.standing(op.Identifier)
			s.confirm = socket.Text(op.Frame)
			s.sendConfirm()
		case rpc.OpReject:
			if s := c.subscriptions.find(op.Identifier); s != nil {
				s.setLive(false)
				s.rejected = true
				s.leaveAll()
			}
			c.socket.SendText(op.Frame)
		case rpc.OpSub:
			s := c.standing(op.Identifier)
			s.follow(op.Stream, op.Token)
		case rpc.OpUnsub:
			if s := c.subscriptions.find(op.Identifier); s != nil {
				s.unfollow(op.Stream)
			}
		case rpc.OpDrop:
			c.settle(op.Identifier, nil)
		case rpc.OpInternal:
			c.listen(op.Stream)
		case rpc.OpClose:
			if op.Frame != "" {
				c.socket.SendText(op.Frame)
			}
			return true
		}
	}
	return false
}

// listen hears of remote disconnects on an internal stream. Rails names it again
// if the connection was identified without it.
func (c *Connection) listen(stream string) {
	for _, m := range c.internal {
		if m.Stream() == stream {
			return
		}
	}
	c.internal = append(c.internal, c.server.hub.Listen(stream, c.remote))
}

// settle notes what a call has made of a subscription; nil: it is none.
func (c *Connection) settle(identifier string, outcome *rpc.ChannelOutcome) {
	if outcome != nil {
		s := c.standing(identifier)
		s.unknown = time.Time{}
		if outcome.State != "" {
			s.state, c.changed = outcome.State, true
		}
		switch {
		case c.ended:
		case s.excess:
			c.refuse(s)
		default:
			s.setTimers(outcome.Timers)
		}
		s.sendConfirm() // its last stream may have been stopped before it was live
		return
	}
	s := c.subscriptions.find(identifier)
	if s == nil {
		return
	}
	s.setLive(false)
	s.rejected, s.excess, s.state = false, false, ""
	s.leaveAll()
	if s.queued == 0 { // else what the browser wants is in what Rails has not answered
		s.wanted = false
	}
}

// standing returns the subscription that Rails holds under an identifier, whose
// word it is that counts. One that the browser has not asked for, as far as we
// could read, is charged here.
func (c *Connection) standing(identifier string) *subscription {
	s := c.subscriptions.find(identifier)
	if s == nil {
		admitted := c.admits(len(identifier))
		s = c.subscription(identifier)
		s.excess = !admitted
	}
	s.setLive(true)
	return s
}

// refuse rejects a subscription over a limit that stands in Rails, and has Rails
// forget it.
func (c *Connection) refuse(s *subscription) {
	s.confirm = nil
	c.socket.SendText(string(protocol.Reject(s.identifier)))
	s.queued++
	c.enqueue(queuedCall{
		call:    rpc.Call{Do: rpc.Frames, Frames: []string{protocol.UnsubscribeCommand(s.identifier)}},
		touched: []touch{{s, protocol.Unsubscribe}},
	})
}

// subscription returns what is known of an identifier, which is little if the
// browser has not asked for it.
func (c *Connection) subscription(identifier string) *subscription {
	s := c.subscriptions.find(identifier)
	if s == nil {
		s = &subscription{connection: c, identifier: identifier}
		c.subscriptions.add(s)
	}
	return s
}
