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
	to    func(ctx context.Context, stream string, payload []byte) error
	count *counters
	log   *slog.Logger
	queue chan publication
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
			if err := p.to(ctx, one.stream, []byte(one.payload)); err != nil {
				p.lost(one, err.Error())
			}
			cancel()
		case <-ctx.Done():
			p.loseRest()
			return
		}
	}
}

func (p *publisher) loseRest() {
	for {
		select {
		case one := <-p.queue:
			p.lost(one, "catenary stops")
		default:
			return
		}
	}
}

func (p *publisher) lost(one publication, why string) {
	p.count.broadcastsLost.Add(1)
	p.log.Error("broadcast could not be published", "stream", one.stream, "why", why)
}

// held are broadcasts that wait until the streams of their connection are live,
// so that its browser hears itself. Others wait for them too: they wait neither
// for long nor in great number.
type held struct {
	broadcasts []publication
	overdue    *time.Timer
}

const (
	heldWait = 2 * time.Second
	heldMost = 1000 // of one connection
)

// publish broadcasts for Rails, as soon as the streams are live. c.mu is held.
func (c *Connection) publish(one publication) {
	if c.pending == 0 || c.ended {
		c.server.publisher.publish(one)
		return
	}
	if c.held == nil {
		c.held = &held{overdue: time.AfterFunc(heldWait, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.publishHeld()
		})}
	}
	c.held.broadcasts = append(c.held.broadcasts, one)
	if len(c.held.broadcasts) >= heldMost {
		c.publishHeld()
	}
}

// publishHeld broadcasts what has waited. c.mu is held.
func (c *Connection) publishHeld() {
	if c.held == nil {
		return
	}
	c.held.overdue.Stop()
	for _, one := range c.held.broadcasts {
		c.server.publisher.publish(one)
	}
	c.held = nil
}
