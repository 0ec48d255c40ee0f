package cable

import "time"

// held are broadcasts that wait until the streams of their connection are live,
// so that its browser hears itself. Others wait for them too: they wait neither
// for long nor in great number.
type held struct {
	broadcasts []publication
	overdue    *time.Timer
}

const (
	heldWait = 2 * time.Second
	heldMost = 1000 // of one connection
)

// publish broadcasts for Rails, as soon as the streams are live. c.mu is held.
func (c *Connection) publish(one publication) {
	if c.pending == 0 || c.ended {
		c.server.publisher.publish(one)
		return
	}
	if c.held == nil {
		c.held = &held{overdue: time.AfterFunc(heldWait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.publishHeld()
		})}
	}
	if c.held.broadcasts = append(c.held.broadcasts, one); len(c.held.broadcasts) >= heldMost {
		c.publishHeld()
	}
}

// publishHeld broadcasts what has waited. c.mu is held.
func (c *Connection) publishHeld() {
	if c.held == nil {
		return
	}
	c.held.overdue.Stop()
	for _, one := range c.held.broadcasts {
		c.server.publisher.publish(one)
	}
	c.held = nil
}
