package rpc

import (
	"context"
	"slices"
	"time"
)

// Process is a process of Rails with a link, by which a connection remembers
// where its objects are.
type Process struct {
	ID    string // as the gem names it, never twice
	Local bool   // what it broadcasts stays in it
	Count int    // of Puma's workers, of which it is one; 0: not known

	// guarded by the client's mu
	connections int   // whose objects it holds, and those that it is opening
	link        *link // nil: it is gone
}

// ProcessStats are one process' numbers.
type ProcessStats struct {
	ID          string
	Index       int // of Puma's worker; -1: it has none
	Count       int // of Puma's workers; 0: not known
	Workers     int // calls that it runs at once
	Connections int // whose objects it holds
	InFlight    int // calls that it has
	Waiting     int // calls that wait for it
	Since       time.Time
	Stopping    bool // Rails sent going: it accepts no further calls
}

// Processes tells of all processes with a link, in order of their age.
func (c *Client) Processes() []ProcessStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	stats := make([]ProcessStats, len(c.links))
	for i, l := range c.links {
		stats[i] = ProcessStats{
			ID: l.process.ID, Index: l.hello.index(), Count: l.hello.Count, Workers: l.hello.Workers, Connections: l.process.connections,
			InFlight: len(l.calls), Waiting: len(l.waiting.here) + len(l.waiting.leaving), Since: l.since, Stopping: l.phase != staying,
		}
	}
	return stats
}

// Linked are the processes that stay, in order of their age.
func (c *Client) Linked() (all []*Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if l.phase == staying {
			all = append(all, l.process)
		}
	}
	return all
}

// LinksOpened returns how many links have been opened so far.
func (c *Client) LinksOpened() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.opened
}

// Process returns the process of that name, or nil if there is no link to it.
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

// Await returns true once Rails can be asked, and false if ctx ends before.
func (c *Client) Await(ctx context.Context) bool {
	for {
		c.mu.Lock()
		there, changed := c.posting || slices.ContainsFunc(c.links, func(l *link) bool { return l.phase == staying }), c.changed
		c.mu.Unlock()
		if there {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// Left notes that a connection has left a process without a call.
func (c *Client) Left(p *Process) {
	if p == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p.connections--
}

// reachable reports whether calls for the connections of a process can go there.
// The client's mu is held.
func (p *Process) reachable() bool {
	return p != nil && p.link != nil && p.link.phase != handed
}
