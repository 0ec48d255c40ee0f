package cable

import "time"

// keepPace holds up the browser's reader once it has sent more than a burst,
// so that its commands take their time. Nothing is dropped. Only the reader
// calls it; one number is all that there is to remember.
func (c *Connection) keepPace() {
	limits := &c.server.limits
	if limits.CommandRate == 0 {
		return
	}
	every := time.Second / time.Duration(limits.CommandRate)
	now := time.Since(c.server.started)
	c.paced = max(c.paced, now) + every
	wait := c.paced - now - time.Duration(limits.CommandBurst)*every
	if wait <= 0 {
		return
	}
	if !c.socket.isShut() { // else nobody is there to be slowed down
		c.server.slowed.add("commands_per_second")
		time.Sleep(wait)
	}
}
