package rpc

import (
	"slices"
	"time"
)

// Which call goes to which process, and when. The methods here are called with
// the client's mu held.

// enqueue has a call wait where it belongs, and sends what can be sent. c.mu is
// held.
func (c *Client) enqueue(p *Pending) {
	c.waiting++
	if home := p.call.Home; home.reachable() {
		home.link.waiting.of(p.call.Do).append(p)
		c.pump(home.link)
		return
	}
	c.waits.of(p.call.Do).append(p)
	if l := c.leastLoaded(); l != nil {
		c.pump(l)
	} else if c.posting {
		c.post.pump()
	}
}

// leastLoaded is the link that a call without a home goes to: where connections
// are fewest. c.mu is held.
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

// pump sends over a link what waits for it. c.mu is held.
func (c *Client) pump(l *link) {
	now := time.Now()
	for l.hasRoom() {
		p := c.next(l, now)
		if p == nil {
			return
		}
		c.waiting--
		l.assign(p, now)
	}
}

// next takes the call whose turn it is on a link; nil if there is none.
func (c *Client) next(l *link, now time.Time) *Pending {
	l.turn++
	if l.turn%openTurn == 0 {
		if p := c.nextToOpen(l, now); p != nil {
			return p
		}
	}
	if l.turn%endTurn == 0 {
		if p := c.nextToEnd(l); p != nil {
			return p
		}
	}
	if p := l.waiting.here.take(); p != nil {
		return p
	}
	if p := c.takeElsewhere(&c.waits.here, l, now); p != nil {
		return p
	}
	if p := c.nextToEnd(l); p != nil {
		return p
	}
	return c.nextToOpen(l, now)
}

func (c *Client) nextToEnd(l *link) *Pending { return takeFirst(&l.waiting.leaving, &c.waits.leaving) }

func takeFirst(from ...*line) *Pending {
	for _, l := range from {
		if p := l.take(); p != nil {
			return p
		}
	}
	return nil
}

func (c *Client) nextToOpen(l *link, now time.Time) *Pending {
	if len(c.waits.coming) == 0 || !l.mayOpen() || !c.welcomes(l, now) {
		return nil
	}
	return c.waits.coming.take()
}

func (c *Client) takeElsewhere(from *line, l *link, now time.Time) *Pending {
	if len(*from) == 0 || l.stalled(now) && !c.allStalled(now) {
		return nil
	}
	return from.take()
}

// welcomes reports whether a new connection may go to this process: it has
// hardly more of them than any other that gets on with its work. c.mu is held.
func (c *Client) welcomes(l *link, now time.Time) bool {
	if l.stalled(now) {
		return c.allStalled(now)
	}
	for _, other := range c.links {
		fewer := other.process.connections
		if other.phase == staying && l.process.connections > fewer+max(2, fewer/8) && !other.stalled(now) {
			return false
		}
	}
	return true
}

func (c *Client) allStalled(now time.Time) bool {
	return !slices.ContainsFunc(c.links, func(l *link) bool { return l.phase == staying && !l.stalled(now) })
}

// moveWaiting lets any process run what has waited for one. c.mu is held.
func (c *Client) moveWaiting(l *link) {
	for _, from := range l.waiting.all() {
		for p := from.take(); p != nil; p = from.take() {
			c.waits.of(p.call.Do).append(p)
		}
	}
}

// spread sends over all links what waits for any of them. c.mu is held.
func (c *Client) spread() {
	for l := c.leastLoaded(); l != nil; l = c.leastLoaded() {
		before := c.waiting
		if c.pump(l); c.waiting == before {
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
