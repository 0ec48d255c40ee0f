package rpc

import "time"

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
