package bench

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// A round is a number of messages, each followed until everybody to whom it is
// owed has it. Clients form groups, client i is of group i mod groups, and
// message i goes to one group: with one group this is a broadcast to all, with
// as many groups as clients it is an echo to one.
type round struct {
	stamp    stamp
	messages int
	groups   int
	clients  int
	template string // of a message; {payload} becomes the stamp
	size     int    // of a message, bytes
	rate     float64
	patience time.Duration

	began     time.Time
	free      chan struct{}  // room for messages in flight; nil if the rate paces
	owed      []atomic.Int64 // deliveries that are still to come, by message
	missing   atomic.Int64   // messages that are not with everybody yet
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

// run sends all messages and waits for the last to arrive, or until nothing has
// come for as long as patience. It may be called once.
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

// turn waits until message i may be sent. At a fixed rate the clock runs from
// when it was due: a server that holds up the sender must not look faster.
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
		return 0, fmt.Errorf("of the first %d messages not every delivery has come within %v: use --rate, which does not wait for them and counts what is lost", i, r.patience)
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	return time.Since(r.began), nil
}

var errNothing = errors.New("nothing arrives")

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
			return nil // the rest is lost
		}
		before = now
	}
}

// heard is called by the clients' goroutines with every frame.
func (r *round) heard(c *client, frame []byte) {
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
		r.free <- struct{}{} // never blocks: it has room for all in flight
	}
	if r.missing.Add(-1) == 0 {
		close(r.arrived)
	}
}
