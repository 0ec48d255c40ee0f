package cable

import (
	"context"
	"log/slog"
	"time"
)

// publisher broadcasts what Rails has left to us: what a command said on
// a stream that it had just opened, see docs/rpc.md. One after the other, in
// order.
type publisher struct {
	source Source
	count  *counters
	log    *slog.Logger
	queue  chan publication
}

type publication struct{ stream, payload string }

const (
	publishQueue = 10_000          // may wait
	publishWait  = 5 * time.Second // for one
)

// publish never blocks: the caller holds a connection.
func (p *publisher) publish(one publication) {
	select {
	case p.queue <- one:
	default:
		p.lost(one, "too many wait")
	}
}

func (p *publisher) run(ctx context.Context) {
	for {
		select {
		case one := <-p.queue:
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishWait)
			if err := p.source.Publish(ctx, one.stream, []byte(one.payload)); err != nil {
				p.lost(one, err.Error())
			}
			cancel()
		case <-ctx.Done():
			return
		}
	}
}

func (p *publisher) lost(one publication, why string) {
	p.count.broadcastsLost.Add(1)
	p.log.Error("broadcast could not be published", "stream", one.stream, "why", why)
}

// publish broadcasts for Rails once all streams of the connection are live, so
// that its browser hears itself. c.mu is held.
func (c *Connection) publish(one publication) {
	if c.pending > 0 && !c.ended {
		c.held = append(c.held, one)
	} else {
		c.server.publisher.publish(one)
	}
}

// publishHeld broadcasts what has waited for streams. c.mu is held.
func (c *Connection) publishHeld() {
	if c.pending > 0 && !c.ended {
		return
	}
	for _, one := range c.held {
		c.server.publisher.publish(one)
	}
	c.held = nil
}
