package lease

import (
	"context"
	"time"
)

// keep renews the lease and looks after the others'.
func (l *Lease) keep(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.doubt:
		}
		began := time.Now()
		answer, err := l.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		l.settle(began, answer, err)
		if err == nil {
			err = l.watch(ctx)
		}
		if isRefusal(err) {
			l.refuse(err)
			return
		}
		if err != nil {
			timer.Reset(min(l.every(), again))
		} else {
			timer.Reset(l.every())
		}
	}
}

// every is how often a lease is renewed: twice it may fail.
func (l *Lease) every() time.Duration { return l.ttl / 3 }

// wait bounds every word with Redis.
func (l *Lease) wait(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, max(l.every(), time.Second))
}

func (l *Lease) renew(ctx context.Context) (answer string, err error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	l.mu.Lock()
	name := l.name
	claimed := make([]string, 0, len(l.claimed))
	for other := range l.claimed {
		claimed = append(claimed, other)
	}
	l.mu.Unlock()
	answer, err = renew.Run(ctx, l.redis, l.keys.of(name), l.node, l.ttl.Milliseconds(), int(day.Seconds())).Text()
	if err == nil && answer != taken {
		err = l.enlist(ctx, name)
	}
	for _, other := range claimed {
		l.hold(ctx, other) // who takes it over asks again before each step
	}
	return answer, err
}

// enlist has others look for our lease. No record is written before.
func (l *Lease) enlist(ctx context.Context, name string) error {
	if err := l.redis.SAdd(ctx, l.keys.nodes(), name).Err(); err != nil {
		return err
	}
	return l.redis.Expire(ctx, l.keys.nodes(), day).Err()
}

// settle takes in what a renewal has shown, and then wakes who waits for it.
func (l *Lease) settle(began time.Time, answer string, err error) {
	switch {
	case err != nil:
		l.failed(err)
	case answer == taken:
		l.lost()
	default:
		l.renewed(began, answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.settled)
	l.settled = make(chan struct{})
}

func (l *Lease) failed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.down && !isRefusal(err) {
		l.log.Warn("the lease of this node cannot be renewed: if it is killed now, its callbacks do not run", "error", err)
	}
	l.down = true
}

func (l *Lease) renewed(began time.Time, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		l.log.Info("the lease of this node is renewed again")
	}
	if l.held && (l.down || answer == fresh) {
		l.records.changeAll()
	}
	if !l.held || l.down || !l.sure() {
		l.steady = began
	}
	l.held, l.down = true, false
	until := began.Add(l.ttl)
	l.until.Store(&until)
	nudge(l.wake)
}

// lost ends the connections before anybody is told that the lease is ours, under
// its new name.
func (l *Lease) lost() {
	l.mu.Lock()
	told, old := l.records.lose(), l.name
	l.mu.Unlock()
	l.log.Warn("this node was silent for too long, and another has run its callbacks: browsers are told to come back", "lease", l.ttl, "connections", len(told))
	l.connections.Taken(told)
	l.forget(old)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.begin()
	l.down = false
	nudge(l.doubt)
}

// forget removes the note that we were taken over, which we have read.
func (l *Lease) forget(name string) {
	ctx, cancel := l.wait(context.Background())
	defer cancel()
	if err := l.redis.Del(ctx, l.keys.taken(name)).Err(); err != nil {
		l.log.Debug("a note that this node was taken over could not be removed: it goes by itself in a day", "error", err)
	}
}
