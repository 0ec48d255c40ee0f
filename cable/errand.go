package cable

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// errand is a call that a connection has to make. A connection makes one at a
// time, in order; commands that come meanwhile ride together in the next.
type errand struct {
	call    rpc.Call
	touched []touch
	tick    *timer // whose tick this is
}

// touch is a command of an errand's that may change a subscription, which
// counts it as queued.
type touch struct {
	*subscription
	kind protocol.Kind
}

// send queues an errand, and starts the runner if there is none. c.mu is held.
func (c *Connection) send(e errand) {
	if last := len(c.errands) - 1; last >= 0 && e.call.Do == rpc.Frames && c.errands[last].call.Do == rpc.Frames {
		c.errands[last].call.Frames = append(c.errands[last].call.Frames, e.call.Frames...)
		c.errands[last].touched = append(c.errands[last].touched, e.touched...)
	} else {
		c.errands = append(c.errands, e)
	}
	c.waiting += e.bytes()
	if !c.running {
		c.running = true
		go c.runErrands()
	}
}

// bytes are those of the browser's commands.
func (e *errand) bytes() (sum int) {
	for _, text := range e.call.Frames {
		sum += len(text)
	}
	return sum
}

// waitForRoom holds up the browser's reader while too many of its commands, or
// too long ones, wait: a greedy client is read more slowly, and nothing is
// dropped.
func (c *Connection) waitForRoom() {
	for c.crowded() && !c.ended {
		c.server.slowed.Add("pending_commands")
		c.room.await(&c.mu)
	}
}

func (c *Connection) crowded() bool {
	last, limits := len(c.errands)-1, &c.server.limits
	return last >= 0 && (len(c.errands[last].call.Frames) >= limits.Commands || c.waiting >= int(limits.Socket.MessageBytes))
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

// runErrands makes the calls until none is left. Of a connection that has
// ended Rails is told then.
func (c *Connection) runErrands() {
	for {
		c.mu.Lock()
		if len(c.errands) == 0 {
			c.errands, c.running = nil, false
			ended := c.ended
			c.mu.Unlock()
			if ended {
				c.server.closer.add(c)
			}
			return
		}
		e := c.errands[0]
		c.errands = c.errands[1:]
		c.waiting -= e.bytes()
		c.room.signal()
		c.mu.Unlock()
		c.run(e)
	}
}

func (c *Connection) run(e errand) {
	c.server.lease.Awake(c.server.patience, c.server.limits.CallWait)
	if c.taken.Load() {
		return
	}
	e.call.Want = c.wants(e)
	c.mu.Lock()
	e.call.Seq = c.early.begin()
	c.mu.Unlock()
	result, err := c.call(e.call)
	if err == nil && result.Error != nil {
		err = result.Error
	}
	if err != nil {
		c.failed(err)
		return
	}
	c.apply(result, e)
}

var errUnreachable = errors.New("Rails could not be reached in time")

// call makes one call: short if Rails may still hold the objects, else in
// full. While Rails cannot be reached it tries again for as long as it may.
func (c *Connection) call(call rpc.Call) (*rpc.Result, error) {
	call.Connection = c.id
	ctx, cancel := context.WithTimeoutCause(c.server.context, c.server.limits.CallWait, errUnreachable)
	defer cancel()
	if c.isUnknownToRails() {
		c.fill(&call)
	}
	result, err := c.ask(ctx, call)
	if err != nil || result.Need != rpc.State {
		return result, err
	}
	if c.isStale() {
		return nil, errLost
	}
	c.fill(&call)
	result, err = c.ask(ctx, call)
	if err == nil && result.Need != "" {
		err = fmt.Errorf("Rails asks for %q after a full call", result.Need)
	}
	return result, err
}

func (c *Connection) ask(ctx context.Context, call rpc.Call) (*rpc.Result, error) {
	call.Version = c.version
	reply, err := c.server.callUntilSent(ctx, c.boot, false, call)
	if err != nil {
		return nil, err
	}
	result := &reply.Results[0]
	if result.Need == "" && result.Error == nil { // else Rails holds nothing new
		c.boot, c.version = reply.Boot, result.Version
	}
	return result, nil
}

// fill makes a call a full one: all that Rails needs in order to rebuild.
func (c *Connection) fill(call *rpc.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.Request, call.Protocol, call.State, call.Tags = c.request, c.protocol, c.state, c.tags
	call.Identities = c.identities
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
}
