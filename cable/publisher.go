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
