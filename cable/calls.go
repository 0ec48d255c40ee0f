package cable

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// queuedCall is a call that a connection has to make. A connection makes one at
// a time, in order; commands that come meanwhile ride together in the next.
type queuedCall struct {
	call    rpc.Call
	touched []touch
	tick    *timer // whose tick this is
}

// touch is a command of a call's that may change a subscription, which counts
// it as queued.
type touch struct {
	*subscription
	kind protocol.Kind
}

// enqueue adds a call, and makes it if no other is under way. c.mu is held.
func (c *Connection) enqueue(q queuedCall) {
	if last := len(c.calls) - 1; last >= 0 && q.call.Do == rpc.Frames && c.calls[last].call.Do == rpc.Frames {
		c.calls[last].call.Frames = append(c.calls[last].call.Frames, q.call.Frames...)
		c.calls[last].touched = append(c.calls[last].touched, q.touched...)
	} else {
		c.calls = append(c.calls, q)
	}
	c.waiting += q.bytes()
	c.payloads += len(q.call.Payload)
	c.callNext()
}

// bytes are those of the browser's commands.
func (q *queuedCall) bytes() (sum int) {
	for _, text := range q.call.Frames {
		sum += len(text)
	}
	return sum
}

// forgetDeliveries drops the broadcasts for blocks that wait: nobody hears what
// would come of them, and natively they would not run either. c.mu is held.
func (c *Connection) forgetDeliveries() {
	c.calls = slices.DeleteFunc(c.calls, func(q queuedCall) bool { return q.call.Do == rpc.Deliver })
	c.payloads = 0
}

// waitForRoom holds up the browser's reader while too many of its commands, or
// too long ones, wait: a greedy client is read more slowly, and nothing is
// dropped.
func (c *Connection) waitForRoom() {
	for c.crowded() && !c.ended {
		c.server.throttled.Add("pending_commands")
		c.room.await(&c.mu)
	}
}

func (c *Connection) crowded() bool {
	last, limits := len(c.calls)-1, &c.server.limits
	return last >= 0 && (len(c.calls[last].call.Frames) >= limits.Commands || c.waiting >= int(limits.Socket.MessageBytes))
}

// room is waited for by the one reader of a browser whose queue is full. The
// lock of the queue guards it.
type room struct{ made chan struct{} }

// await lets go of the lock until there may be room: the caller looks again.
func (r *room) await(lock *sync.Mutex) {
	if r.made == nil {
		r.made = make(chan struct{})
	}
	made := r.made
	lock.Unlock()
	<-made
	lock.Lock()
}

// signal wakes the reader.
func (r *room) signal() {
	if r.made != nil {
		close(r.made)
		r.made = nil
	}
}

// callNext makes the next call, unless one is under way. Once nothing is left of
// a connection that has ended, Rails is told. c.mu is held.
func (c *Connection) callNext() {
	switch {
	case c.calling:
	case len(c.calls) > 0:
		c.calling = true
		if c.server.lease.Sure() {
			c.makeCall()
			return
		}
		go func() {
			c.server.lease.Awake(c.server.patience, c.server.limits.CallWait)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.makeCall()
		}()
	case c.ended:
		c.calling = true // for good
		c.calls = nil
		c.server.closer.add(c)
	}
}

// makeCall makes the first of the calls that wait. c.mu is held.
func (c *Connection) makeCall() {
	if c.taken.Load() || len(c.calls) == 0 {
		c.calls, c.calling = nil, false
		c.callNext()
		return
	}
	q := c.calls[0]
	c.calls = c.calls[1:]
	c.waiting -= q.bytes()
	c.payloads -= len(q.call.Payload)
	c.underway = q.bytes() + len(q.call.Payload)
	c.room.signal()
	q.call.Connection, q.call.Version, q.call.Home = c.id, c.version, c.home
	q.call.Fill, q.call.Until = c.fill, time.Now().Add(c.server.limits.CallWait)
	_, err := c.server.backend.Do(q.call, func(a rpc.Answer) { c.answered(q, a) })
	if err != nil {
		go c.answered(q, rpc.Answer{Err: err})
	}
}

var errUnreachable = errors.New("Rails could not be reached in time")

// answered does what a call has come to, and makes the next.
func (c *Connection) answered(q queuedCall, a rpc.Answer) {
	err := a.Err
	if err == nil && a.Result.Error != nil {
		err = a.Result.Error
	}
	if err != nil {
		c.failed(err)
	} else {
		c.mu.Lock()
		c.noteObjects(a.Process, a.Result)
		c.mu.Unlock()
		c.apply(a.Result, q)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calling, c.underway = false, 0
	c.callNext()
}

// held returns how many bytes of calls there are that can be given up.
func (c *Connection) held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return 0
	}
	return c.waiting + c.payloads + c.underway
}

// fill makes a call a full one: all that the process needs in order to rebuild.
func (c *Connection) fill(call *rpc.Call, at *rpc.Process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server.restart.Reconnect && c.home != nil && (at == nil || at.ID != c.home.ID) {
		return errRestarted
	}
	if c.stale && call.Do != rpc.Close {
		return errLost
	}
	call.Request, call.Protocol, call.State, call.Tags = c.request, c.protocol, c.state, c.tags
	call.Identities, call.Channels = c.identities, nil
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
