package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// round is a number of messages, each tracked until all its recipients have it. Client i is in
// group i mod groups, and message i goes to group i mod groups: with one group that is a broadcast
// to all, with as many groups as clients an echo to one.
type round struct {
	stamp    stamp
	messages int
	groups   int
	clients  int
	template string // of a message; {payload} becomes the stamp
	size     int    // of a message, in bytes
	rate     float64
	patience time.Duration

	began     time.Time
	free      chan struct{}  // slots for messages in flight; nil if there is a rate
	owed      []atomic.Int64 // pending deliveries, by message
	missing   atomic.Int64   // messages with pending deliveries
	arrived   chan struct{}  // closed when missing is 0
	delivered atomic.Int64
	last      atomic.Int64 // nanoseconds from began to the last delivery
	latency   histogram
}

func newRound(o Options, messages, groups int) *round {
	r := &round{
		stamp: newStamp(), messages: messages, groups: groups, clients: o.Connections,
		template: o.Data, size: o.Size, rate: o.Rate, patience: o.Patience,
		began: time.Now(), owed: make([]atomic.Int64, messages), arrived: make(chan struct{}),
	}
	for i := range r.owed {
		r.owed[i].Store(int64(r.members(i % groups)))
	}
	r.missing.Store(int64(messages))
	if r.rate == 0 {
		r.free = make(chan struct{}, o.InFlight)
		for range o.InFlight {
			r.free <- struct{}{}
		}
	}
	return r
}

func (r *round) members(group int) int { return (r.clients - group + r.groups - 1) / r.groups }

// run sends all messages and waits until all have arrived, or nothing arrives for as long as
// patience. It may be called once.
func (r *round) run(ctx context.Context, send func(group int, message string) error) error {
	r.began = time.Now()
	for i := range r.messages {
		due, err := r.turn(ctx, i)
		if err != nil {
			return err
		}
		if err := send(i%r.groups, r.stamp.message(r.template, i, due, r.size)); err != nil {
			return err
		}
	}
	return r.settle(ctx)
}

// turn waits until message i may be sent, and returns the time from which its latency counts. With
// a rate that is when it was due: a server that blocks the sender must not look faster.
func (r *round) turn(ctx context.Context, i int) (time.Duration, error) {
	if r.rate > 0 {
		due := time.Duration(float64(i) / r.rate * float64(time.Second))
		select {
		case <-time.After(time.Until(r.began.Add(due))):
			return due, nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
	select {
	case <-r.free:
		return time.Since(r.began), nil
	default:
	}
	select {
	case <-r.free:
	case <-time.After(r.patience):
		if r.delivered.Load() == 0 {
			return 0, errNothing
		}
		return 0, fmt.Errorf("some deliveries of the first %d messages are missing after %v: "+
			"use --rate, which does not wait for them and counts the lost ones", i, r.patience)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return time.Since(r.began), nil
}

var errNothing = errors.New("nothing arrives")

// settle waits for the deliveries that are still pending.
func (r *round) settle(ctx context.Context) error {
	for before := r.delivered.Load(); ; {
		select {
		case <-r.arrived:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(r.patience):
		}
		now := r.delivered.Load()
		if now == 0 {
			return errNothing
		}
		if now == before {
			return nil // the others are lost
		}
		before = now
	}
}

// receive is called by the clients' goroutines with every frame.
func (r *round) receive(c *client, frame []byte) {
	sequence, sent, ok := r.stamp.find(frame)
	if !ok || sequence >= r.messages || c.number%r.groups != sequence%r.groups {
		return
	}
	now := time.Since(r.began)
	if c.receipt.round != r {
		c.receipt = newReceipt(r)
	}
	if !c.receipt.note(sequence) {
		return
	}
	r.latency.add(now - sent)
	r.delivered.Add(1)
	r.last.Store(int64(now))
	if r.owed[sequence].Add(-1) > 0 {
		return
	}
	if r.free != nil {
		r.free <- struct{}{} // never blocks: there is a slot for each message in flight
	}
	if r.missing.Add(-1) == 0 {
		close(r.arrived)
	}
}

// receipt is what one client has received in a round. It is owned by the goroutine that reads the
// client's socket.
type receipt struct {
	round      *round
	seen       []uint64 // a bit for each message
	latest     int      // highest sequence so far, plus one
	duplicates int
	reordered  int // messages that came after a later one
}

func newReceipt(r *round) receipt { return receipt{round: r, seen: make([]uint64, (r.messages+63)/64)} }

// note records a message. It returns false for a duplicate.
func (r *receipt) note(sequence int) bool {
	word, bit := &r.seen[sequence/64], uint64(1)<<(sequence%64)
	if *word&bit != 0 {
		r.duplicates++
		return false
	}
	*word |= bit
	if sequence < r.latest {
		r.reordered++
	}
	r.latest = max(r.latest, sequence+1)
	return true
}
