package cable

// Before a Rails thread broadcasts or enqueues a job, it waits until catenary has
// applied the thread's effects on the connection. So browsers see effects and
// broadcasts in the order of the code, and a channel receives what it broadcasts to a
// stream that it has just opened.

// sync calls done when all streams of the connection are live. The link delivers in
// order, so all earlier effects have been applied by then. done must not block.
func (c *Connection) sync(done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pendingStreams == 0 || c.closed || !c.started || c.server.hub.Ready() != nil {
		done()
		return
	}
	c.syncs = append(c.syncs, done)
}

// callSyncs calls the waiting syncs. c.mu is held.
func (c *Connection) callSyncs() {
	for _, done := range c.syncs {
		done()
	}
	c.syncs = nil
}
