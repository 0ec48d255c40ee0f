package lease

import (
	"context"
	"time"
)

const (
	writeEvery = 100 * time.Millisecond // so much a node that is killed has not written
	writeMost  = 256                    // records at once
	writeBytes = 1 << 20                // about so many at once
)

// writeBehind writes what has changed, together what came together. It costs
// nothing while nothing changes.
func (l *Lease) writeBehind(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(writeEvery):
		}
		for l.flush(ctx) {
		}
	}
}

// flush writes some of what has changed, and tells whether there may be more.
// What could not be written waits for the next renewal.
func (l *Lease) flush(ctx context.Context) (more bool) {
	l.mu.Lock()
	name, sealer := l.name, l.sealer
	if !l.held {
		l.mu.Unlock()
		return false
	}
	connections := l.records.take(writeMost)
	l.mu.Unlock()

	var set, removed, rest []string
	var records []any
	l.sealed = l.sealed[:0]
	for i, connection := range connections {
		if len(l.sealed) > writeBytes {
			rest = connections[i:]
			break
		}
		text := l.connections.Record(l.plain[:0], connection)
		if text == nil {
			removed = append(removed, connection)
			continue
		}
		begin := len(l.sealed)
		l.plain, l.sealed = text, sealer.seal(l.sealed, connection, text)
		set, records = append(set, connection), append(records, connection, l.sealed[begin:])
	}

	l.mu.Lock()
	l.records.change(rest...)
	removed = l.records.known(removed)
	l.records.attempt(set)
	l.mu.Unlock()
	if len(set)+len(removed) > 0 {
		ok, err := l.write(ctx, name, removed, records)
		more = l.wrote(name, set, removed, ok, err)
	} else {
		more = len(connections) > 0
	}
	l.mu.Lock()
	l.records.writing = 0
	l.mu.Unlock()
	return more
}

func (l *Lease) wrote(name string, set, removed []string, ok bool, err error) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case name != l.name: // taken over meanwhile: there they are of no more use
		l.records.change(set...)
		return true
	case err == nil && ok:
		l.records.wrote(set, removed)
		return true
	case err == nil:
		nudge(l.doubt)
	}
	l.records.change(set...)
	l.records.change(removed...)
	return false
}

// write reports false if the lease is not ours.
func (l *Lease) write(ctx context.Context, name string, removed []string, set []any) (ok bool, err error) {
	ctx, cancel := l.wait(ctx)
	defer cancel()
	arguments := make([]any, 0, 2+len(removed)+len(set))
	arguments = append(arguments, l.node, len(removed))
	for _, connection := range removed {
		arguments = append(arguments, connection)
	}
	return write.Run(ctx, l.redis, l.keys.of(name), append(arguments, set...)...).Bool()
}
