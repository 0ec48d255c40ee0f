package rpc

import "time"

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

// ProcessStats are the numbers of one process.
type ProcessStats struct {
	ID          string
	Index       int // of Puma's worker; -1: it has none
	Count       int // of Puma's workers; 0: not known
	Workers     int // calls that it runs at once
	Connections int // whose objects it holds, or that it is opening
	InFlight    int // calls assigned to it
	Waiting     int // calls that wait for it
	Since       time.Time
	Stopping    bool // it takes no further calls
}

// Processes returns the numbers of all processes with a link, oldest link first.
func (c *Client) Processes() []ProcessStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := make([]ProcessStats, len(c.links))
	for i, l := range c.links {
		stats[i] = ProcessStats{
			ID: l.process.ID, Index: l.hello.index(), Count: l.hello.Count, Workers: l.hello.Workers,
			Connections: l.process.connections, InFlight: len(l.calls),
			Waiting: len(l.queues.established) + len(l.queues.closes),
			Since:   l.since, Stopping: l.stopping(),
		}
	}
	return stats
}

// LinksOpened returns how many links have been opened so far.
func (c *Client) LinksOpened() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.linksOpened
}

// Transport returns Link or Post, whichever carries calls now; "" while neither does.
func (c *Client) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.links) > 0:
		return Link
	case c.posting:
		return Post
	}
	return ""
}

// PostReason returns why calls go by POST although links were wanted; "": they do not.
func (c *Client) PostReason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.posting || len(c.links) > 0 {
		return ""
	}
	return c.postReason
}

// Load returns how many calls (by POST: requests) are in flight and how many calls wait.
func (c *Client) Load() (inFlight, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		inFlight += len(l.calls)
	}
	return inFlight + c.post.inFlight, c.queued
}

// Limit returns how many calls (by POST: requests) may be in flight now.
func (c *Client) Limit() (limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if l.phase == running {
			limit += callsPerWorker * l.hello.Workers
		}
	}
	if c.posting {
		limit += c.post.concurrency
	}
	return limit
}

// OpenLatency returns how long Rails recently took to open a connection, without the time in a
// queue; 0 if it has opened none.
func (c *Client) OpenLatency() time.Duration { return time.Duration(c.openLatency.Load()) }
