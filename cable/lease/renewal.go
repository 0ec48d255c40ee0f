package lease

import (
	"context"
	"time"
)

// keepRenewing renews the lease and looks for expired leases of other nodes, until ctx ends or
// Redis denies it.
func (l *Lease) keepRenewing(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.recheck:
		}
		began := time.Now()
		answer, err := l.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		l.apply(began, answer, err)
		if err == nil {
			err = l.claimExpired(ctx)
		}
		if isDenied(err) {
			l.disable(err)
			return
		}
		next := l.interval()
		if err != nil {
			next = min(next, retryAfter)
		}
		timer.Reset(next)
	}
}

// interval is the time between renewals: two in a row may fail before the lease expires.
func (l *Lease) interval() time.Duration { return l.ttl / 3 }

// withTimeout bounds one exchange with Redis.
func (l *Lease) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(l.interval(), time.Second))
}

// renew renews our lease and those that we have claimed.
func (l *Lease) renew(ctx context.Context) (answer string, err error) {
	ctx, cancel := l.withTimeout(ctx)
	defer cancel()
	l.mu.Lock()
	name := l.name
	claimed := make([]string, 0, len(l.claimed))
	for other := range l.claimed {
		claimed = append(claimed, other)
	}
	l.mu.Unlock()
	answer, err = renewScript.Run(ctx, l.redis, l.keys.all(name),
		l.node, l.ttl.Milliseconds(), int(day.Seconds())).Text()
	if err == nil && answer != answerTaken {
		err = l.register(ctx, name)
	}
	for _, other := range claimed {
		l.extend(ctx, other) // takeOver extends before each batch, and handles an error
	}
	return answer, err
}

// register adds our lease to those that other nodes watch. Records are written only afterwards.
func (l *Lease) register(ctx context.Context, name string) error {
	err := l.redis.SAdd(ctx, l.keys.nodes(), name).Err()
	if err != nil {
		return err
	}
	return l.redis.Expire(ctx, l.keys.nodes(), day).Err()
}

// apply acts on the answer to a renewal, and then wakes the waiters.
func (l *Lease) apply(began time.Time, answer string, err error) {
	switch {
	case err != nil:
		l.renewalFailed(err)
	case answer == answerTaken:
		l.lost()
	default:
		l.renewed(began, answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeWaiters()
}

func (l *Lease) renewalFailed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down && !isDenied(err) {
		l.log.Warn("failed to renew this node's lease: if it is killed now, its disconnect callbacks do not run",
			"error", err)
	}
	l.down = true
}

func (l *Lease) renewed(began time.Time, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		l.log.Info("renewed this node's lease again")
	}
	if l.held && (l.down || answer == answerNew) {
		l.records.changeAll()
	}
	if !l.held || l.down || !l.valid() {
		l.healthySince = began
	}
	l.held = true
	l.down = false
	until := began.Add(l.ttl)
	l.validUntil.Store(&until)
	wake(l.changed)
}

// lost handles a takeover of this node. It closes the connections before it renews under a new name,
// because commands and close calls go to Rails again as soon as the lease is valid.
func (l *Lease) lost() {
	l.mu.Lock()
	closed := l.records.reset()
	old := l.name
	l.mu.Unlock()
	l.log.Warn("another node ran this node's disconnect callbacks because its lease expired: browsers reconnect",
		"lease", l.ttl, "connections", len(closed))
	l.connections.Taken(closed)
	l.forgetTakeover(old)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rename()
	l.down = false
	wake(l.recheck)
}

// forgetTakeover removes the note that this node was taken over: we have read it.
func (l *Lease) forgetTakeover(name string) {
	ctx, cancel := l.withTimeout(context.Background())
	defer cancel()
	err := l.redis.Del(ctx, l.keys.taken(name)).Err()
	if err != nil {
		l.log.Debug("failed to remove the note that this node was taken over, which expires in a day",
			"error", err)
	}
}
