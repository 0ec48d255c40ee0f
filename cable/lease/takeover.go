package lease

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

const (
	closeBatch = 50 // records whose callbacks Rails runs at once
	retryAfter = time.Second
)

var errNotOurs = errors.New("lease is held by another node")

// claimExpired looks for leases that have expired and claims them. While Redis is unreachable for
// all nodes, every lease expires, and each node renews its own afterwards. So a node claims a lease
// only if its owner, were it alive, would have renewed it by now, and only if every renewal of its
// own has succeeded for a whole TTL.
func (l *Lease) claimExpired(ctx context.Context) error {
	names, err := l.otherNodes(ctx)
	if err != nil {
		return err
	}
	missingSince := map[string]time.Time{}
	others := []string{}
	for _, name := range names {
		exists, err := l.exists(ctx, name)
		if err != nil {
			return err
		}
		if exists {
			others = append(others, name)
			continue
		}
		since, known := l.missingSince[name]
		if !known {
			since = time.Now()
		}
		missingSince[name] = since
		if time.Since(since) >= l.interval() && time.Since(l.healthySince) >= l.ttl {
			l.claim(ctx, name)
		}
	}
	l.missingSince = missingSince
	l.mu.Lock()
	defer l.mu.Unlock()
	l.others = others
	return nil
}

// otherNodes returns the registered names except ours and those that we have claimed.
func (l *Lease) otherNodes(ctx context.Context) (others []string, err error) {
	ctx, cancel := l.withTimeout(ctx)
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

func (l *Lease) exists(ctx context.Context, name string) (bool, error) {
	ctx, cancel := l.withTimeout(ctx)
	defer cancel()
	n, err := l.redis.Exists(ctx, l.keys.lease(name)).Result()
	return n > 0, err
}

func (l *Lease) claim(ctx context.Context, name string) {
	claiming, cancel := l.withTimeout(ctx)
	defer cancel()
	records, err := claimScript.Run(claiming, l.redis, l.keys.all(name),
		l.node, l.ttl.Milliseconds(), int(day.Seconds())).Int()
	if err != nil || records < 0 { // another node was faster
		return
	}
	if records == 0 {
		l.redis.SRem(claiming, l.keys.nodes(), name) // if it fails, the next round does it
		return
	}
	l.log.Warn("took over a node that stopped renewing its lease: running its disconnect callbacks",
		"node", name, "connections", records)
	l.nodesTakenOver.Add(1)
	l.mu.Lock()
	l.claimed[name] = true
	l.mu.Unlock()
	l.takeovers.Go(func() { l.takeOver(ctx, name) })
}

// takeOver makes the close calls of another node until no record is left. If this node stops before
// that, another one claims the lease and finishes.
func (l *Lease) takeOver(ctx context.Context, name string) {
	l.takeoverMu.Lock()
	defer l.takeoverMu.Unlock()
	defer l.unclaim(name)
	sealer := newSealer(l.secret, name)
	closed := 0
	failing := false
	for cursor := uint64(0); ctx.Err() == nil; {
		batch, next, err := l.scan(ctx, name, cursor)
		if err == nil && batch == nil {
			break
		}
		if err == nil {
			err = l.closeRecords(ctx, sealer, name, batch)
		}
		if errors.Is(err, errNotOurs) {
			l.log.Warn("another node continues the takeover", "node", name)
			return
		}
		if err == nil {
			cursor = next
			failing = false
			closed += len(batch)
			continue
		}
		if !failing && ctx.Err() == nil {
			l.log.Warn("failed to run disconnect callbacks of a node taken over, retrying", "node", name, "error", err)
		}
		failing = true
		pause(ctx, retryAfter)
	}
	l.release(context.WithoutCancel(ctx), name)
	l.log.Info("finished takeover", "node", name, "connections", closed)
}

// scan returns some records by connection, and the next cursor. A nil batch means that no record is
// left.
func (l *Lease) scan(ctx context.Context, name string, cursor uint64) (batch map[string]string, next uint64, err error) {
	ctx, cancel := l.withTimeout(ctx)
	defer cancel()
	key := l.keys.connections(name)
	left, err := l.redis.HLen(ctx, key).Result()
	if err != nil || left == 0 {
		return nil, 0, err
	}
	pairs, next, err := l.redis.HScan(ctx, key, cursor, "", closeBatch).Result()
	batch = map[string]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		batch[pairs[i]] = pairs[i+1]
	}
	return batch, next, err
}

// closeRecords has Rails run the callbacks of a batch, and removes its records.
func (l *Lease) closeRecords(ctx context.Context, s sealer, name string, batch map[string]string) error {
	ours, err := l.extend(ctx, name)
	if err == nil && !ours {
		return errNotOurs
	}
	if err != nil || len(batch) == 0 {
		return err
	}
	closed, closeErr := l.connections.Close(ctx, l.openRecords(s, name, batch))
	if closeErr == nil {
		closed = slices.Collect(maps.Keys(batch)) // the unreadable ones too
	}
	l.connectionsTakenOver.Add(int64(len(closed)))
	if len(closed) == 0 {
		return closeErr
	}
	return errors.Join(l.remove(context.WithoutCancel(ctx), name, closed), closeErr)
}

// openRecords unseals a batch, without the records that it cannot read: a retry would not help.
func (l *Lease) openRecords(s sealer, name string, batch map[string]string) (records []Record) {
	for connection, sealed := range batch {
		text, err := s.open(connection, []byte(sealed))
		if err != nil {
			l.log.Error("failed to read the record of a connection taken over: its disconnect callbacks do not run",
				"node", name, "connection", connection, "error", err)
			continue
		}
		records = append(records, Record{connection, text})
	}
	return records
}

// extend renews a claimed lease and reports whether it is still ours.
func (l *Lease) extend(ctx context.Context, name string) (ours bool, err error) {
	ctx, cancel := l.withTimeout(ctx)
	defer cancel()
	ours, err = extendScript.Run(ctx, l.redis, l.keys.all(name), l.node, l.ttl.Milliseconds()).Bool()
	if err == nil && !ours {
		l.unclaim(name)
	}
	return ours, err
}

// remove removes the records of connections whose callbacks have run. It retries for as long as the
// lease may be ours: the callbacks of a record that stays would run again.
func (l *Lease) remove(ctx context.Context, name string, connections []string) error {
	for end := time.Now().Add(l.ttl); ; pause(ctx, retryAfter) {
		ours, err := l.write(ctx, name, connections, nil)
		if err == nil && !ours {
			err = errNotOurs
		}
		if err == nil || err == errNotOurs || time.Now().After(end) {
			return err
		}
	}
}

func (l *Lease) unclaim(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.claimed, name)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
