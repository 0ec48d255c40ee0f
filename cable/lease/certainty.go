package lease

import (
	"context"
	"time"
)

// Sure reports whether neither Awake nor Certain would wait.
func (l *Lease) Sure() bool { return l == nil || l.sure() }

// sure tells whether nobody can have taken us over: the lease has not run out,
// by the clock that goes on while the machine sleeps as by the other.
func (l *Lease) sure() bool {
	until := l.until.Load()
	now := time.Now()
	return until == nil || now.Before(*until) && now.Round(0).Before(until.Round(0))
}

// Awake returns at once, except in a process that has slept for longer than its
// lease: there it returns once it is known whether the connections are still
// ours. While Redis is away it does not wait.
func (l *Lease) Awake(ctx context.Context, most time.Duration) { l.await(ctx, most, false) }

// Certain returns once it is known that the connections are still ours, even if
// Redis is away.
func (l *Lease) Certain(ctx context.Context, most time.Duration) { l.await(ctx, most, true) }

func (l *Lease) await(ctx context.Context, most time.Duration, patient bool) {
	if l == nil || l.sure() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for !l.sure() && !l.refused.Load() {
		settled, down := l.next()
		if down && !patient {
			return
		}
		select {
		case <-settled:
		case <-ctx.Done():
			return
		}
	}
}

// next is closed when the next renewal has been tried.
func (l *Lease) next() (settled <-chan struct{}, down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.settled, l.down
}
