package lease

import (
	"context"
	"time"
)

const (
	writeEvery   = 100 * time.Millisecond // changes from the last writeEvery before a kill are lost
	writeRecords = 256                    // in one write, at most
	writeBytes   = 1 << 20                // in one write; one record may exceed it
)

// writeBehind writes the changed records every writeEvery. It is idle while nothing changes.
func (l *Lease) writeBehind(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.changed:
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

// flush writes one batch, and reports whether to write another. What it fails to write stays pending
// until the next renewal wakes the writer.
func (l *Lease) flush(ctx context.Context) (more bool) {
	l.mu.Lock()
	name, sealer := l.name, l.sealer
	if !l.held {
		l.mu.Unlock()
		return false
	}
	connections := l.records.take(writeRecords)
	l.mu.Unlock()

	var set, removed, rest []string
	var pairs []any
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
		l.plain = text
		begin := len(l.sealed)
		l.sealed = sealer.seal(l.sealed, connection, text)
		set = append(set, connection)
		pairs = append(pairs, connection, l.sealed[begin:])
	}

	l.mu.Lock()
	l.records.change(rest...)
	removed = l.records.existing(removed)
	l.records.attempt(set)
	l.mu.Unlock()
	if len(set)+len(removed) > 0 {
		ours, err := l.write(ctx, name, removed, pairs)
		more = l.wrote(name, set, removed, ours, err)
	} else {
		more = len(connections) > 0
	}
	l.mu.Lock()
	l.records.writing = 0
	l.mu.Unlock()
	return more
}

// write removes and sets records in one step. It reports false if the lease is not ours.
func (l *Lease) write(ctx context.Context, name string, removed []string, pairs []any) (ours bool, err error) {
	ctx, cancel := l.withTimeout(ctx)
	defer cancel()
	arguments := make([]any, 0, 2+len(removed)+len(pairs))
	arguments = append(arguments, l.node, len(removed))
	for _, connection := range removed {
		arguments = append(arguments, connection)
	}
	arguments = append(arguments, pairs...)
	return writeScript.Run(ctx, l.redis, l.keys.all(name), arguments...).Bool()
}

// wrote notes the outcome of a write, and reports whether to write another batch.
func (l *Lease) wrote(name string, set, removed []string, ours bool, err error) (more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case name != l.name: // taken over meanwhile: write them again under the new name
		l.records.change(set...)
		return true
	case err == nil && ours:
		l.records.confirm(set, removed)
		return true
	case err == nil:
		wake(l.recheck)
	}
	l.records.change(set...)
	l.records.change(removed...)
	return false
}
