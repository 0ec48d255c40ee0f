package cable

import (
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// queuedCall is a call that waits for its turn. A connection makes one call at a
// time, in order. Commands that arrive during a call share the next one.
type queuedCall struct {
	call    rpc.Call
	changes []subscriptionChange
	timer   *timer // that causes the call; nil: none does
}

// subscriptionChange is a subscribe or unsubscribe in a call. The subscription
// counts it in queuedCommands.
type subscriptionChange struct {
	*subscription
	kind protocol.Kind
}

// enqueue queues a call, and makes it if none is in flight. c.mu is held.
func (c *Connection) enqueue(q *queuedCall) {
	last := len(c.calls) - 1
	if last >= 0 && q.call.Do == rpc.Frames && c.calls[last].call.Do == rpc.Frames {
		c.calls[last].call.Frames = append(c.calls[last].call.Frames, q.call.Frames...)
		c.calls[last].changes = append(c.calls[last].changes, q.changes...)
	} else {
		c.calls = append(c.calls, q)
	}
	c.commandBytes += q.commandBytes()
	c.payloadBytes += len(q.call.Payload)
	c.callNext()
}

func (q *queuedCall) commandBytes() (sum int) {
	for _, text := range q.call.Frames {
		sum += len(text)
	}
	return sum
}

// dropQueuedDeliveries drops queued broadcasts for blocks: their effects would
// reach no browser, and Rails' own server does not run them either. c.mu is held.
func (c *Connection) dropQueuedDeliveries() {
	c.calls = slices.DeleteFunc(c.calls, func(q *queuedCall) bool { return q.call.Do == rpc.Deliver })
	c.payloadBytes = 0
}

// waitForSpace blocks the browser's reader while too many of its commands, or too
// many bytes of them, are queued: a browser that sends too much is throttled, and
// nothing is dropped. c.mu is held, and released during the wait.
func (c *Connection) waitForSpace() {
	for c.queueFull() && !c.closed {
		c.server.commandsThrottled.Add("pending_commands")
		c.space.wait(&c.mu)
	}
}

func (c *Connection) queueFull() bool {
	if len(c.calls) == 0 {
		return false
	}
	limits := &c.server.limits
	last := c.calls[len(c.calls)-1]
	return len(last.call.Frames) >= limits.Commands || c.commandBytes >= int(limits.Socket.MessageBytes)
}

// spaceSignal wakes the one reader that waits for space in a queue. The queue's
// lock guards it. It is smaller than a sync.Cond.
type spaceSignal struct {
	freed chan struct{} // closed by signal; nil: nothing waits
}

// wait releases the lock until signal is called. The caller checks again.
func (s *spaceSignal) wait(lock *sync.Mutex) {
	if s.freed == nil {
		s.freed = make(chan struct{})
	}
	freed := s.freed
	lock.Unlock()
	<-freed
	lock.Lock()
}

// signal wakes the reader.
func (s *spaceSignal) signal() {
	if s.freed != nil {
		close(s.freed)
		s.freed = nil
	}
}

// callNext makes the next call unless one is in flight. The last call of a closed
// connection is the close call. c.mu is held.
func (c *Connection) callNext() {
	switch {
	case c.callInFlight:
	case len(c.calls) > 0:
		c.callInFlight = true
		if c.server.lease.Valid() {
			c.makeCall()
			return
		}
		go func() {
			c.server.lease.WaitValidOrDown(c.server.serving, c.server.limits.CallWait)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.makeCall()
		}()
	case c.closed:
		c.callInFlight = true // for good
		c.calls = nil
		c.server.closer.add(c)
	}
}

// makeCall makes the first queued call. c.mu is held.
func (c *Connection) makeCall() {
	if c.takenOver.Load() || len(c.calls) == 0 {
		c.calls = nil
		c.callInFlight = false
		c.callNext()
		return
	}
	q := c.calls[0]
	c.calls[0] = nil
	c.calls = c.calls[1:]
	if len(c.calls) == 0 {
		c.calls = nil // to save memory
	}
	c.commandBytes -= q.commandBytes()
	c.payloadBytes -= len(q.call.Payload)
	c.inFlightBytes = q.commandBytes() + len(q.call.Payload)
	c.space.signal()
	q.call.Connection = c.id
	q.call.Version = c.version
	q.call.Home = c.process
	q.call.Fill = c.fill
	q.call.Until = time.Now().Add(c.server.limits.CallWait)
	_, err := c.server.backend.Do(&q.call, func(a rpc.Answer) { c.answered(q, a) })
	if err != nil {
		go c.answered(q, rpc.Answer{Err: err})
	}
}

// answered applies the answer to a call, or disconnects if the call has failed, and
// makes the next call.
func (c *Connection) answered(q *queuedCall, a rpc.Answer) {
	err := a.Err
	if err == nil && a.Result.Error != nil {
		err = a.Result.Error
	}
	if err != nil {
		c.callFailed(err)
	} else {
		c.mu.Lock()
		c.noteProcess(a.Process, a.Result)
		c.mu.Unlock()
		c.applyResult(a.Result, q)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.callInFlight = false
	c.inFlightBytes = 0
	c.callNext()
}

// waitingBytes returns how many bytes of commands and broadcasts wait for Rails
// and would be freed by a disconnect.
func (c *Connection) waitingBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return 0
	}
	return c.commandBytes + c.payloadBytes + c.inFlightBytes
}

// fill adds to a call all that its process needs to rebuild the connection.
func (c *Connection) fill(call *rpc.Call, at *rpc.Process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.restart.Reconnect && c.process != nil && (at == nil || at.ID != c.process.ID) {
		return errProcessGone
	}
	if c.stale && call.Do != rpc.Close {
		return errStateLost
	}
	call.Request = c.request
	call.Protocol = c.railsProtocol()
	call.State = c.state
	call.Tags = c.tags
	if c.token != nil {
		call.Identities = c.token.identities
	}
	call.Channels = nil
	for _, s := range c.subscriptions.all() {
		if !s.live || s.verified {
			continue
		}
		channel := rpc.Channel{Identifier: s.identifier, State: s.state, Streams: map[string]*string{}}
		for _, m := range s.streams {
			channel.Streams[m.Stream()] = m.Token
		}
		call.Channels = append(call.Channels, channel)
	}
	return nil
}
