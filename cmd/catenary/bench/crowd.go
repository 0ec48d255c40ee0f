package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A crowd is many clients. Client i streams from stream i mod streams.
type crowd struct {
	target  *target
	streams []string
	heard   func(c *client, frame []byte)
	clients []*client // nil where opening has failed
	buffers sync.Pool // of *bytes.Buffer

	confirmed atomic.Int64
	failed    atomic.Int64
	dropped   atomic.Int64 // by the server, later
	confirm   histogram    // from dialling to the confirmation
	first     atomic.Int64 // nanoseconds until the first confirmation of all

	failure atomic.Pointer[error] // one of those that failed
	closing atomic.Bool
	readers sync.WaitGroup
}

// newCrowd does not connect yet. heard is called for every frame, in the
// goroutine of its client.
func newCrowd(target *target, connections int, streams []string, heard func(*client, []byte)) *crowd {
	return &crowd{
		target: target, streams: streams, heard: heard, clients: make([]*client, connections),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// open connects all, at most atOnce at the same time, and returns when each is
// confirmed or has failed.
func (c *crowd) open(ctx context.Context, atOnce int) {
	began := time.Now()
	slots := make(chan struct{}, atOnce)
	var opening sync.WaitGroup
	for i := range c.clients {
		slots <- struct{}{}
		opening.Add(1)
		c.readers.Go(func() {
			client := c.openOne(ctx, i, began)
			<-slots
			opening.Done()
			if client != nil && client.listen(&c.buffers, c.heard) != nil && !c.closing.Load() {
				c.dropped.Add(1)
			}
		})
	}
	opening.Wait()
}

func (c *crowd) openOne(ctx context.Context, number int, began time.Time) *client {
	start := time.Now()
	client, err := c.target.open(ctx, number, c.streams[number%len(c.streams)])
	if err != nil {
		c.failed.Add(1)
		c.failure.Store(&err)
		return nil
	}
	c.confirm.add(time.Since(start))
	c.first.CompareAndSwap(0, int64(time.Since(began)))
	c.confirmed.Add(1)
	c.clients[number] = client
	return client
}

// complete is nil if every client is there: a figure of half a crowd is none.
func (c *crowd) complete() error {
	if failed := c.failed.Load(); failed > 0 {
		return fmt.Errorf("%d of %d connections have failed, one of them so: %w", failed, len(c.clients), *c.failure.Load())
	}
	if c.dropped.Load() > 0 {
		return errors.New("the server closes connections while others open: its log says why")
	}
	return nil
}

// close ends all connections. Afterwards receipts may be read.
func (c *crowd) close() {
	c.closing.Store(true)
	for _, client := range c.clients {
		if client != nil {
			client.close()
		}
	}
	c.readers.Wait()
}
