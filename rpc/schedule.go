package rpc

import (
	"errors"
	"slices"
	"time"
)

// The methods of this file decide which call goes to which process, and when. The client's mu is
// held, unless a comment says otherwise.

// enqueue queues a call for its home, or for any process, and sends what can be sent.
func (c *Client) enqueue(p *Pending) {
	c.queued++
	if c.resting {
		c.resting = false
		select {
		case c.called <- struct{}{}:
		default:
		}
	}
	home := p.call.Home
	if home.reachable() {
		home.link.queues.of(p.call.Do).push(p)
		c.pump(home.link)
		return
	}
	c.queues.of(p.call.Do).push(p)
	l := c.leastLoaded()
	switch {
	case l != nil:
		c.pump(l)
	case c.posting:
		c.post.pump()
	}
}

// leastLoaded returns the link for a call without a home: of those with room the one with the fewest
// connections, or nil. It returns one that stalls only if all do.
func (c *Client) leastLoaded() (least *link) {
	now := time.Now()
	for _, l := range c.links {
		if !l.hasRoom() {
			continue
		}
		switch {
		case least == nil:
			least = l
		case least.stalled(now) != l.stalled(now):
			if least.stalled(now) {
				least = l
			}
		case l.process.connections < least.process.connections:
			least = l
		}
	}
	return least
}

// pumpAll sends all queued calls for which there is room, those for any process to the least loaded
// one first.
func (c *Client) pumpAll() {
	for l := c.leastLoaded(); l != nil; l = c.leastLoaded() {
		before := c.queued
		c.pump(l)
		if c.queued == before {
			break
		}
	}
	for _, l := range c.links {
		c.pump(l)
	}
	if len(c.links) == 0 && c.posting {
		c.post.pump()
	}
}

// pump sends calls over a link while it has room.
func (c *Client) pump(l *link) {
	now := time.Now()
	for l.hasRoom() {
		p := c.next(l, now)
		if p == nil {
			return
		}
		c.queued--
		l.assign(p, now)
	}
}

// next takes the next call for a link off the queues, in the order that the type queues describes.
// It returns nil if there is none.
func (c *Client) next(l *link, now time.Time) *Pending {
	l.turn++
	if l.turn%openTurn == 0 {
		p := c.nextOpen(l, now)
		if p != nil {
			return p
		}
	}
	if l.turn%closeTurn == 0 {
		p := c.nextClose(l)
		if p != nil {
			return p
		}
	}
	p := l.queues.established.pop()
	if p == nil && (!l.stalled(now) || c.allStalled(now)) {
		p = c.queues.established.pop()
	}
	if p == nil {
		p = c.nextClose(l)
	}
	if p != nil {
		return p
	}
	return c.nextOpen(l, now)
}

func (c *Client) nextClose(l *link) *Pending { return popFirst(&l.queues.closes, &c.queues.closes) }

func (c *Client) nextOpen(l *link, now time.Time) *Pending {
	if len(c.queues.opens) == 0 || !l.canOpen() || !c.balanced(l, now) {
		return nil
	}
	return c.queues.opens.pop()
}

// balanced reports whether a process may open a connection: it has at most an eighth more of them
// (or two more, if that is greater) than any process that does not stall. A process that stalls
// itself opens connections only if all do.
func (c *Client) balanced(l *link, now time.Time) bool {
	if l.stalled(now) {
		return c.allStalled(now)
	}
	for _, other := range c.links {
		fewer := other.process.connections
		if other.phase == running && !other.stalled(now) && l.process.connections > fewer+max(2, fewer/8) {
			return false
		}
	}
	return true
}

func (c *Client) allStalled(now time.Time) bool {
	return !slices.ContainsFunc(c.links, func(l *link) bool {
		return l.phase == running && !l.stalled(now)
	})
}

// requeue lets any process run the calls that wait for this one.
func (c *Client) requeue(l *link) {
	for _, from := range l.queues.all() {
		for p := from.pop(); p != nil; p = from.pop() {
			c.queues.of(p.call.Do).push(p)
		}
	}
}

// allQueues returns the queues for any process and those of each link.
func (c *Client) allQueues() []*queue {
	all := c.queues.all()
	for _, l := range c.links {
		all = append(all, l.queues.all()...)
	}
	return all
}

// queueFull reports whether more calls wait than Options.Queue allows.
func (c *Client) queueFull() bool {
	if c.queued <= c.options.Queue {
		return false
	}
	bounded := 0
	for _, q := range c.allQueues() {
		for _, p := range *q {
			if p.call.bounded() {
				bounded++
			}
		}
	}
	return bounded > c.options.Queue
}

// expire fails the calls that have waited until their Until. It takes the client's mu.
func (c *Client) expire(now time.Time) {
	c.failQueued(errors.New("Rails could not be reached in time"), func(p *Pending) bool {
		return !p.call.Until.IsZero() && !now.Before(p.call.Until)
	})
}

// failQueued fails the queued calls that match. It takes the client's mu.
func (c *Client) failQueued(reason error, match func(*Pending) bool) {
	now := time.Now()
	c.mu.Lock()
	var failed []*Pending
	for _, q := range c.allQueues() {
		failed = append(failed, q.removeIf(match)...)
	}
	c.queued -= len(failed)
	err := c.notSent(reason)
	for _, p := range failed {
		if p.call.Do == Close {
			c.countConnection(nil, p, nil) // the connection is gone all the same
		}
		c.observe(p, nil, err, now)
	}
	c.mu.Unlock()
	for _, p := range failed {
		p.finish(Answer{Err: err})
	}
}

// countConnection updates Process.connections after a call at a process. result is nil if the call
// did not run.
func (c *Client) countConnection(at *Process, p *Pending, result *Result) {
	ran := result != nil && result.Error == nil && result.Need == ""
	switch {
	case p.call.Do == Open: // link.assign has counted it
		if !ran || !result.Opened() {
			at.connections--
		}
	case p.call.Do == Close:
		if p.call.Home != nil && p.call.Encoded == nil { // Encoded: another node's connection
			p.call.Home.connections--
		}
	case ran && p.call.Home != at:
		at.connections++
		if p.call.Home != nil {
			p.call.Home.connections--
		}
	}
}
