package lease

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	closeBatch = 50 // ends that Rails is told of at once
	again      = time.Second
)

// watch looks for leases that have run out. One is claimed only if it has been
// missing for so long that its owner, if there were one, would have renewed it,
// and only by a node that has itself been in touch for long enough: when Redis
// has been away from all, all come back at their own pace.
func (l *Lease) watch(ctx context.Context) error {
	names, err := l.names(ctx)
	if err != nil {
		return err
	}
	missing, others := map[string]time.Time{}, []string{}
	for _, name := range names {
		there, err := l.isThere(ctx, name)
		if err != nil {
			return err
		}
		if there {
			others = append(others, name)
			continue
		}
		since, known := l.missing[name]
		if !known {
			since = time.Now()
		}
		if missing[name] = since; time.Since(since) >= l.every() && time.Since(l.steady) >= l.ttl {
			l.claim(ctx, name)
		}
	}
	l.missing = missing
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others = others
	return nil
}

// names are all nodes but this.
func (l *Lease) names(ctx context.Context) (others []string, err error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	names, err := l.redis.SMembers(ctx, l.keys.nodes()).Result()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range names {
		if name != l.name && !l.claimed[name] {
			others = append(others, name)
		}
	}
	return others, err
}

func (l *Lease) isThere(ctx context.Context, name string) (bool, error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	n, err := l.redis.Exists(ctx, l.keys.lease(name)).Result()
	return n > 0, err
}

func (l *Lease) claim(ctx context.Context, name string) {
	asking, cancel := l.wait(ctx)
	defer cancel()
	records, err := claim.Run(asking, l.redis, l.keys.of(name), l.node, l.ttl.Milliseconds(), int(day.Seconds())).Int()
	if err != nil || records < 0 { // somebody else was sooner
		return
	}
	if records == 0 {
		l.redis.SRem(asking, l.keys.nodes(), name) // or in the next round
		return
	}
	l.log.Warn("a node is silent: its connections' callbacks are run by this one", "node", name, "connections", records)
	l.tookOver.Add(1)
	l.mu.Lock()
	l.claimed[name] = true
	l.mu.Unlock()
	l.takers.Go(func() { l.takeOver(ctx, name) })
}

// hold keeps a claimed lease, and tells whether it is still ours.
func (l *Lease) hold(ctx context.Context, name string) (ours bool, err error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	ours, err = hold.Run(ctx, l.redis, l.keys.of(name), l.node, l.ttl.Milliseconds()).Bool()
	if err == nil && !ours {
		l.drop(name)
	}
	return ours, err
}

// takeOver makes another node's close calls. What it does not finish is
// somebody else's to finish.
func (l *Lease) takeOver(ctx context.Context, name string) {
	l.turn.Lock()
	defer l.turn.Unlock()
	defer l.drop(name)
	sealer, closed, waiting := newSealer(l.secret, name), 0, false
	for cursor := uint64(0); ctx.Err() == nil; {
		batch, next, err := l.some(ctx, name, cursor)
		if err == nil && batch == nil {
			break
		}
		if err == nil {
			err = l.close(ctx, sealer, name, batch)
		}
		if errors.Is(err, errNotOurs) {
			l.log.Warn("another node goes on with the callbacks of a silent one", "node", name)
			return
		}
		if err == nil {
			cursor, waiting = next, false
			closed += len(batch)
			continue
		}
		if !waiting && ctx.Err() == nil {
			l.log.Warn("the callbacks of a silent node have to wait", "node", name, "error", err)
		}
		waiting = true
		pause(ctx, again)
	}
	l.release(context.WithoutCancel(ctx), name)
	l.log.Info("callbacks of a silent node have been run", "node", name, "connections", closed)
}

// drop forgets that we have claimed a lease.
func (l *Lease) drop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.claimed, name)
}

// some returns a few records by connection, and where to go on; nil: there are
// no more.
func (l *Lease) some(ctx context.Context, name string, cursor uint64) (batch map[string]string, next uint64, err error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	key := l.keys.connections(name)
	if left, err := l.redis.HLen(ctx, key).Result(); err != nil || left == 0 {
		return nil, 0, err
	}
	pairs, next, err := l.redis.HScan(ctx, key, cursor, "", closeBatch).Result()
	batch = map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		batch[pairs[i]] = pairs[i+1]
	}
	return batch, next, err
}

var errNotOurs = errors.New("the lease is not ours any more")

// close tells Rails of a batch and removes it.
func (l *Lease) close(ctx context.Context, s sealer, name string, batch map[string]string) error {
	ours, err := l.hold(ctx, name)
	if err == nil && !ours {
		return errNotOurs
	}
	if err != nil || len(batch) == 0 {
		return err
	}
	told, closing := l.connections.Close(ctx, l.open(s, name, batch))
	if closing == nil {
		told = slices.Collect(maps.Keys(batch)) // those too that cannot be read
	}
	l.closedFor.Add(int64(len(told)))
	if len(told) == 0 {
		return closing
	}
	return errors.Join(l.remove(context.WithoutCancel(ctx), name, told), closing)
}

// open leaves out what cannot be read, now or later.
func (l *Lease) open(s sealer, name string, batch map[string]string) (records []Record) {
	for connection, sealed := range batch {
		text, err := s.open(connection, []byte(sealed))
		if err != nil {
			l.log.Error("the callbacks of a silent node's connection cannot be run", "node", name, "connection", connection, "error", err)
			continue
		}
		records = append(records, Record{connection, text})
	}
	return records
}

// remove removes records. It insists, for as long as the lease may be ours: their
// callbacks have run.
func (l *Lease) remove(ctx context.Context, name string, connections []string) error {
	for end := time.Now().Add(l.ttl); ; pause(ctx, again) {
		ours, err := l.write(ctx, name, connections, nil)
		if err == nil && !ours {
			err = errNotOurs
		}
		if err == nil || err == errNotOurs || time.Now().After(end) {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
