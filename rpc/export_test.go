package rpc

import (
	"context"
	"sync"
	"time"
)

// Stalled reports whether all workers of a process have been busy for too long.
func (c *Client) Stalled(p *Process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.link.stalled(time.Now())
}

// Pauses returns the pauses after dials that fail with these errors, one after the other.
func (c *Client) Pauses(failures ...error) (all []time.Duration) {
	f := &finder{client: c}
	for _, err := range failures {
		all = append(all, f.failed(err))
	}
	return all
}

// RunWith is Run for a backend with these addresses.
func (c *Client) RunWith(ctx context.Context, handler Handler, addresses ...string) {
	c.handler = handler
	defer c.stop()
	var running sync.WaitGroup
	defer running.Wait()
	for _, address := range addresses {
		running.Go(func() { (&finder{client: c, address: address, running: &running, links: ctx}).run(ctx) })
	}
}
