package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// applyResult applies the result of a call.
func (c *Connection) applyResult(result *rpc.Result, q *queuedCall) {
	c.warn(result.Warnings)
	c.mu.Lock()
	closed := c.applyOps(result.Ops)
	now := time.Now()
	for _, change := range q.changes {
		s := change.subscription
		s.unknownUntil = time.Time{}
		if change.kind == protocol.Subscribe && !s.live && !s.rejected {
			s.unknownUntil = now.Add(unknownChannelTTL) // applyOutcome resets it if Rails has the subscription
		}
	}
	for identifier, outcome := range result.Channels {
		c.applyOutcome(identifier, outcome)
	}
	c.startHeartbeat(result.Beat)
	if q.timer != nil {
		q.timer.inFlight = false
	}
	for _, change := range q.changes {
		s := change.subscription
		s.queuedCommands--
		if s.queuedCommands == 0 {
			s.wanted = s.live
			s.dropReplay()
			if s.forgettable(now) {
				c.subscriptions.remove(s)
			}
		}
	}
	if closed {
		c.calls = nil // as in Rails, nothing runs after the close
	}
	c.reportChange()
	c.mu.Unlock()
	switch {
	case closed && result.Raised:
		c.disconnect("connect_failed", nil)
	case closed:
		c.disconnect("rails_closed", nil)
	}
}

// applyEffects applies effects that do not come with a result: those of a call that
// still runs, and those of threads and jobs after it. Before the 101 they are kept.
func (c *Connection) applyEffects(ops []rpc.Op) {
	c.mu.Lock()
	if !c.started {
		c.keepEarlyOps(ops)
		c.mu.Unlock()
		return
	}
	closed := c.applyOps(ops)
	if closed {
		c.calls = nil
	}
	c.reportChange()
	c.mu.Unlock()
	if closed {
		c.disconnect("rails_closed", nil)
	}
}

// keepEarlyOps keeps effects until the 101, up to limits.pending_bytes. c.mu is held.
func (c *Connection) keepEarlyOps(ops []rpc.Op) {
	if c.early == nil {
		c.early = &earlyEffects{}
	}
	for _, op := range ops {
		c.early.bytes += len(op.Frame) + len(op.Identifier) + len(op.Stream)
	}
	if c.early.bytes <= c.server.limits.Socket.PendingBytes {
		c.early.ops = append(c.early.ops, ops...)
	}
}

// applyOps applies effects in their order. It reports whether Rails has closed the
// connection. c.mu is held.
func (c *Connection) applyOps(ops []rpc.Op) (closed bool) {
	for _, op := range ops {
		if op.Kind == rpc.OpChannel {
			c.countChannelEvent(op)
			continue
		}
		if c.closed {
			continue
		}
		switch op.Kind {
		case rpc.OpSend:
			c.welcomed = c.welcomed || op.Frame == protocol.Welcome
			c.socket.SendText(op.Frame)
		case rpc.OpConfirm:
			s := c.liveSubscription(op.Identifier)
			s.confirmation = socket.Text(op.Frame)
			s.sendConfirmation()
		case rpc.OpReject:
			if s := c.subscriptions.find(op.Identifier); s != nil {
				s.setLive(false)
				s.rejected = true
				s.leaveAll()
			}
			c.socket.SendText(op.Frame)
		case rpc.OpSub:
			s := c.liveSubscription(op.Identifier)
			s.follow(op.Stream, op.Token)
		case rpc.OpUnsub:
			if s := c.subscriptions.find(op.Identifier); s != nil {
				s.unfollow(op.Stream)
			}
		case rpc.OpDrop:
			c.applyOutcome(op.Identifier, nil)
		case rpc.OpInternal:
			c.listenForDisconnects(op.Stream)
		case rpc.OpClose:
			if op.Frame != "" {
				c.socket.SendText(op.Frame)
			}
			return true
		}
	}
	return false
}

// countChannelEvent counts an event that Rails reports of a channel. c.mu is held.
func (c *Connection) countChannelEvent(op rpc.Op) {
	channel := c.server.channels.Of(op.Channel)
	switch {
	case op.Event == rpc.ChannelRejected:
		channel.Rejections.Add(1)
	case op.Event == rpc.ChannelRaised:
		channel.Exceptions.Add(1)
	case op.Event == rpc.ChannelConfirmed && !c.closed:
		c.liveSubscription(op.Identifier).countIn(channel)
	}
}

// listenForDisconnects joins the connection's internal stream, unless it has: if a
// token opened the connection, Rails names the stream again. c.mu is held.
func (c *Connection) listenForDisconnects(stream string) {
	for _, m := range c.internalStreams {
		if m.Stream() == stream {
			return
		}
	}
	c.internalStreams = append(c.internalStreams, c.server.hub.Listen(stream, c.remoteDisconnect))
}

// applyOutcome notes the state of a subscription after a call. outcome is nil if Rails
// has no such subscription. c.mu is held.
func (c *Connection) applyOutcome(identifier string, outcome *rpc.ChannelOutcome) {
	if outcome != nil {
		s := c.liveSubscription(identifier)
		s.unknownUntil = time.Time{}
		if outcome.State != "" {
			s.state = outcome.State
			c.recordChanged = true
		}
		switch {
		case c.closed:
		case s.overLimit:
			c.rejectOverLimit(s)
		default:
			s.setTimers(outcome.Timers)
		}
		s.sendConfirmation() // its last pending stream may have been stopped
		return
	}
	s := c.subscriptions.find(identifier)
	if s == nil {
		return
	}
	s.setLive(false)
	s.rejected = false
	s.overLimit = false
	s.state = ""
	s.leaveAll()
	if s.queuedCommands == 0 { // otherwise a command in flight decides
		s.wanted = false
	}
}

// liveSubscription returns the subscription that Rails holds under an identifier.
// If ParseCommand could not read the browser's subscribe, this is where the
// subscription is first seen and counted against the limits. c.mu is held.
func (c *Connection) liveSubscription(identifier string) *subscription {
	s := c.subscriptions.find(identifier)
	if s == nil {
		admitted := c.admitSubscription(len(identifier))
		s = c.findOrAddSubscription(identifier)
		s.overLimit = !admitted
	}
	s.setLive(true)
	return s
}

// rejectOverLimit rejects a subscription that Rails holds and that is over a limit,
// and unsubscribes it in Rails. c.mu is held.
func (c *Connection) rejectOverLimit(s *subscription) {
	s.confirmation = nil
	c.socket.SendText(string(protocol.Reject(s.identifier)))
	s.queuedCommands++
	c.enqueue(&queuedCall{
		call:    rpc.Call{Do: rpc.Frames, Frames: []string{protocol.UnsubscribeCommand(s.identifier)}},
		changes: []subscriptionChange{{s, protocol.Unsubscribe}},
	})
}

// Before a Rails thread broadcasts or enqueues a job, it waits until catenary has
// applied the thread's effects on the connection. So browsers see effects and
// broadcasts in the order of the code, and a channel receives what it broadcasts to a
// stream that it has just opened.

// sync calls done when all streams of the connection are live. The link delivers in
// order, so all earlier effects have been applied by then. done must not block.
func (c *Connection) sync(done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pendingStreams == 0 || c.closed || !c.started || c.server.hub.Ready() != nil {
		done()
		return
	}
	c.syncs = append(c.syncs, done)
}

// callSyncs calls the waiting syncs. c.mu is held.
func (c *Connection) callSyncs() {
	for _, done := range c.syncs {
		done()
	}
	c.syncs = nil
}
