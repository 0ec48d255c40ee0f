package broadcast

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// probe checks regularly that published broadcasts arrive: after a failover, or behind a dead
// router, a connection may look alive for hours.
type probe struct {
	stream          string
	every, deadline time.Duration
	publish         func(ctx context.Context, stream string, payload []byte) error
	ping            func() error
	returned        chan struct{} // holds one token after a probe has arrived
	log             *slog.Logger

	// owned by run
	lastSuccess time.Time
	warned      bool // logged that only PING works

	// activity grows by two with every message read. It is odd while deliver runs.
	activity atomic.Uint64
}

// silenceError means that a probe did not come back.
type silenceError struct {
	since  time.Time // when broadcasts were last known to arrive
	waited time.Duration
}

func (e *silenceError) Error() string {
	return fmt.Sprintf("a probe that we published did not come back within %s", e.waited)
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
		err := p.send(ctx)
		if err != nil {
			return err
		}
		err = p.wait(ctx)
		if err != nil {
			return err
		}
		p.lastSuccess = time.Now()
	}
}

// send publishes a probe. If it cannot (an ACL, a replica, no free connection), it sends PING on the
// listener's connection, which at least shows that Redis answers.
func (p *probe) send(ctx context.Context) error {
	select {
	case <-p.returned: // an earlier probe, too late
	default:
	}
	publishing, cancel := context.WithTimeout(ctx, p.deadline)
	defer cancel()
	err := p.publish(publishing, p.stream, []byte(`{}`))
	if err == nil {
		return nil
	}
	if !p.warned && ctx.Err() == nil {
		p.warned = true
		p.log.Warn("failed to publish a probe: checking the connection to Redis with PING only",
			"stream", p.stream, "error", err)
	}
	err = p.ping()
	if err != nil {
		return fmt.Errorf("sending PING: %w", err)
	}
	return nil
}

// wait waits for the probe. It fails after a deadline without any message, or after ten deadlines in
// which other messages arrived but not the probe. Time that deliver takes does not count.
func (p *probe) wait(ctx context.Context) error {
	step := max(p.deadline/10, time.Millisecond)
	ticker := time.NewTicker(step)
	defer ticker.Stop()
	var silent, waited time.Duration
	last := p.activity.Load()
	for silent < p.deadline && waited < 10*p.deadline {
		select {
		case <-p.returned:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		now := p.activity.Load()
		delivering := now%2 == 1
		if !delivering {
			waited += step
			silent += step
		}
		if delivering || now != last {
			silent = 0
			last = now
		}
	}
	return &silenceError{since: p.lastSuccess, waited: waited}
}

// success notes that a probe, or the answer to PING, has arrived.
func (p *probe) success() {
	select {
	case p.returned <- struct{}{}:
	default:
	}
}
