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

// crowd is many clients. Client i subscribes to stream i mod streams.
type crowd struct {
	target  *target
	streams []string
	receive func(c *client, frame []byte)
	clients []*client // nil where opening failed
	buffers sync.Pool // of *bytes.Buffer

	confirmed atomic.Int64
	failed    atomic.Int64
	dropped   atomic.Int64 // disconnected by the server
	confirm   histogram    // from dialling to confirmation
	first     atomic.Int64 // nanoseconds until the first confirmation

	failure atomic.Pointer[error] // of one that failed
	closing atomic.Bool
	readers sync.WaitGroup
}

// newCrowd does not connect yet. It calls receive for every frame, in the client's goroutine.
func newCrowd(target *target, connections int, streams []string, receive func(*client, []byte)) *crowd {
	return &crowd{
		target: target, streams: streams, receive: receive, clients: make([]*client, connections),
		buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
}

// open connects all clients, at most atOnce at the same time, and returns when each is confirmed or
// has failed.
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
			if client == nil {
				return
			}
			client.listen(&c.buffers, c.receive)
			if !c.closing.Load() {
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

// complete returns an error if a client is missing: figures of half a crowd would be worthless.
func (c *crowd) complete() error {
	if failed := c.failed.Load(); failed > 0 {
		return fmt.Errorf("%d of %d connections failed, one of them with: %w",
			failed, len(c.clients), *c.failure.Load())
	}
	if c.dropped.Load() > 0 {
		return errors.New("the server closed connections while others were opening: see its log")
	}
	return nil
}

// close closes all connections. Afterwards receipts may be read.
func (c *crowd) close() {
	c.closing.Store(true)
	for _, client := range c.clients {
		if client != nil {
			client.close()
		}
	}
	c.readers.Wait()
}
