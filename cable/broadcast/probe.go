package broadcast

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// probe proves again and again that what is published arrives: a connection
// may look alive for hours after a failover or behind a dead router.
type probe struct {
	stream          string
	every, deadline time.Duration
	publish         func(ctx context.Context, stream string, payload []byte) error
	ping            func() error
	echoed          chan struct{}
	log             *slog.Logger

	// owned by run
	provenAt time.Time
	unproven bool // it has been said that only PING can be used

	// heard grows with all that is read; it is odd while deliver is busy.
	heard atomic.Uint64
}

// deafError says since when nothing proves that broadcasts arrive.
type deafError struct {
	since time.Time
	wait  time.Duration
}

func (e *deafError) Error() string {
	return fmt.Sprintf("what we published to ourselves did not come back within %s", e.wait)
}

func (p *probe) run(ctx context.Context) error {
	ticker := time.NewTicker(p.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if err := p.send(ctx); err != nil {
			return err
		}
		if err := p.await(ctx); err != nil {
			return err
		}
		p.provenAt = time.Now()
	}
}

// send publishes to ourselves; where that is not possible (an ACL, a replica,
// no connection left) the listener is at least asked for a sign of life.
func (p *probe) send(ctx context.Context) error {
	select {
	case <-p.echoed: // of a probe given up
	default:
	}
	publishing, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	err := p.publish(publishing, p.stream, []byte(`{}`))
	if err == nil {
		return nil
	}
	if !p.unproven && ctx.Err() == nil {
		p.unproven = true
		p.log.Warn("the listener can only be asked for a sign of life: we cannot publish to ourselves",
			"stream", p.stream, "error", err)
	}
	if err := p.ping(); err != nil {
		return fmt.Errorf("asking for a sign of life: %w", err)
	}
	return nil
}

// await gives up after a deadline of silence, or, when other things keep
// coming but not the echo, after ten. Time spent in deliver is ours, not
// Redis', and does not count.
func (p *probe) await(ctx context.Context) error {
	step := max(p.deadline/10, time.Millisecond)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	var silent, waited time.Duration
	last := p.heard.Load()
	for silent < p.deadline && waited < 10*p.deadline {
		select {
		case <-p.echoed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		heard := p.heard.Load()
		if heard%2 == 1 {
			silent, last = 0, heard
			continue
		}
		waited += step
		if silent += step; heard != last {
			silent, last = 0, heard
		}
	}
	return &deafError{since: p.provenAt, wait: waited}
}

func (p *probe) echo() {
	select {
	case p.echoed <- struct{}{}:
	default:
	}
}
