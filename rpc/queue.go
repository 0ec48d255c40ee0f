package rpc

import (
	"slices"
	"time"
)

// queue holds calls that wait to be sent, in order of arrival.
type queue []*Pending

func (q *queue) push(p *Pending) {
	p.queue = q
	*q = append(*q, p)
}

// pop removes and returns the call that has waited longest; nil if there is none.
func (q *queue) pop() *Pending {
	if len(*q) == 0 {
		return nil
	}
	p := (*q)[0]
	(*q)[0] = nil
	*q = (*q)[1:]
	p.queue = nil
	return p
}

// popFirst pops from the first queue that is not empty.
func popFirst(queues ...*queue) *Pending {
	for _, q := range queues {
		p := q.pop()
		if p != nil {
			return p
		}
	}
	return nil
}

func (q *queue) remove(p *Pending) {
	i := slices.Index(*q, p)
	if i >= 0 {
		*q = slices.Delete(*q, i, i+1)
	}
	p.queue = nil
}

// removeIf removes and returns the calls that match.
func (q *queue) removeIf(match func(*Pending) bool) (removed []*Pending) {
	*q = slices.DeleteFunc(*q, func(p *Pending) bool {
		if !match(p) {
			return false
		}
		p.queue = nil
		removed = append(removed, p)
		return true
	})
	return removed
}

// queues are the calls that wait for one process, or for any. Calls of established connections go
// first, then closes, then opens: when a page is reloaded, the old connection closes before the new
// one opens, as natively.
type queues struct {
	established queue // commands, timers, heartbeats and broadcasts of connections that are open
	opens       queue
	closes      queue
}

// Every closeTurn-th turn goes to a close first and every openTurn-th to an open, so that neither
// waits for a whole storm of commands.
const (
	closeTurn = 4
	openTurn  = 6
)

// of returns the queue of calls that do this.
func (q *queues) of(do string) *queue {
	switch do {
	case Open:
		return &q.opens
	case Close:
		return &q.closes
	}
	return &q.established
}

func (q *queues) all() []*queue { return []*queue{&q.established, &q.opens, &q.closes} }

// Pending is a call without an answer yet.
type Pending struct {
	client *Client
	call   *Call
	done   func(Answer)
	trace  Trace

	// guarded by the client's mu
	madeAt  time.Time // when Do was called
	sentAt  time.Time // when it was assigned to a link or a POST; zero: it is queued
	queue   *queue    // where it waits; nil: nowhere
	full    bool      // must be a full call: fill makes it one
	written bool      // the kernel has taken all of it, so it may run
}

// Withdraw takes back a call that has not been sent, and done is not called. It reports false if it
// is too late: the answer follows.
func (p *Pending) Withdraw() bool {
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	if p.queue == nil {
		return false
	}
	p.queue.remove(p)
	p.client.queued--
	return true
}

// fill makes the call a full one for a process (nil: a POST), if it must be full.
func (p *Pending) fill(at *Process) error {
	if !p.full {
		return nil
	}
	return p.call.Fill(p.call, at)
}

// finish hands the answer to the caller. No lock is held.
func (p *Pending) finish(a Answer) {
	if a.Err != nil {
		a.Result = nil
	}
	p.done(a)
}
