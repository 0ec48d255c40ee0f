package rpc

import "time"

// Stalled reports whether all workers of a process are busy for long.
func (c *Client) Stalled(p *Process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.link.stalled(time.Now())
}
