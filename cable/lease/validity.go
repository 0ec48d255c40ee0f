package lease

import (
	"context"
	"time"
)

// Valid reports whether no other node can have taken this one over. While it is true, WaitValid and
// WaitValidOrDown return at once.
func (l *Lease) Valid() bool { return l == nil || l.valid() }

// valid reports whether the lease has not expired. It compares both the monotonic clock, which
// stops while some machines sleep, and the wall clock, which goes on.
func (l *Lease) valid() bool {
	until := l.validUntil.Load()
	if until == nil {
		return true
	}
	now := time.Now()
	return now.Before(*until) && now.Round(0).Before(until.Round(0))
}

// WaitValidOrDown waits, up to limit, until the lease is valid or Redis is unreachable. It waits
// only in a process that has slept for longer than its lease: another node may have closed its
// connections.
func (l *Lease) WaitValidOrDown(ctx context.Context, limit time.Duration) { l.wait(ctx, limit, true) }

// WaitValid waits, up to limit, until the lease is valid, even while Redis is unreachable.
func (l *Lease) WaitValid(ctx context.Context, limit time.Duration) { l.wait(ctx, limit, false) }

func (l *Lease) wait(ctx context.Context, limit time.Duration, orDown bool) {
	if l.Valid() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !l.valid() && !l.denied.Load() {
		answered, down := l.nextAnswer()
		if down && orDown {
			return
		}
		select {
		case <-answered:
		case <-ctx.Done():
			return
		}
	}
}

// nextAnswer returns a channel that is closed after the next attempt to renew, and whether the last
// attempt failed.
func (l *Lease) nextAnswer() (answered <-chan struct{}, down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answered, l.down
}

// wakeWaiters closes the channel that nextAnswer returned. l.mu is held.
func (l *Lease) wakeWaiters() {
	close(l.answered)
	l.answered = make(chan struct{})
}
