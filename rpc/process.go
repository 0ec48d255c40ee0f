package rpc

// Process is a Rails process with a link. A connection keeps it to know where its objects are.
type Process struct {
	ID    string // the gem's name for it, unique forever
	Local bool   // its broadcasts stay in it (with the adapter async, say)
	Count int    // of the Puma workers, of which it is one; 0: not known

	// guarded by the client's mu
	connections int   // whose objects it holds, or that it is opening
	link        *link // nil: it is gone
}

// reachable reports whether the calls of the process' connections still go to it. While it is
// stopping they do, and wait: it may stay after all. The client's mu is held.
func (p *Process) reachable() bool {
	return p != nil && p.link != nil && p.link.phase != handedOver
}

// Process returns the process with that ID, or nil if it has no link.
func (c *Client) Process(id string) *Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if l.process.ID == id {
			return l.process
		}
	}
	return nil
}

// Linked returns the processes that have a link and are not stopping, oldest link first.
func (c *Client) Linked() (all []*Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if !l.stopping() {
			all = append(all, l.process)
		}
	}
	return all
}

// ConnectionLeft counts a connection that is gone from a process without a close call. p may be
// nil.
func (c *Client) ConnectionLeft(p *Process) {
	if p == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.connections--
}
