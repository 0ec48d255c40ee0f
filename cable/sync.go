package cable

// A Rails thread that broadcasts or enqueues a job first waits until catenary has
// applied what the thread did to the connection before. So browsers see effects
// and broadcasts in the order of the code, and a channel receives what it
// broadcasts to a stream that it has just opened.

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

// callSyncs calls those that wait. c.mu is held.
func (c *Connection) callSyncs() {
	for _, done := range c.syncs {
		done()
	}
	c.syncs = nil
}
