package cable

// A thread of Rails' that broadcasts, or enqueues a job, waits until what it did
// to a connection before has been done here: so browsers see its effects and its
// broadcasts in the order of the code, and hear themselves.

// sync calls done as soon as all streams of the connection are live. What came
// over the link before has been applied by then. done must not block.
func (c *Connection) sync(done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending == 0 || c.ended || !c.started || c.server.hub.Ready() != nil {
		done()
		return
	}
	c.syncs = append(c.syncs, done)
}

// synced tells those who wait. c.mu is held.
func (c *Connection) synced() {
	for _, done := range c.syncs {
		done()
	}
	c.syncs = nil
}
