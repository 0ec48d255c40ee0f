package rpc

import (
	"errors"
	"sync/atomic"
	"time"
)

// Outcomes of calls.
const (
	Answered   = "answered"
	NeedsState = "needs_state" // the process lacks the connection's objects: the call follows in full
	Raised     = "error"       // Rails could not run it: see Error
	TimedOut   = "timeout"     // it may still run
	Unsent     = "unsent"      // it has not reached Rails
	Busy       = "busy"        // too many calls were queued
	Failed     = "failed"      // a status other than 200, or the connection broke after the call was sent
)

// SettingsOnly is the Do of an Observation of a POST without calls.
const SettingsOnly = "settings"

// Observation is one call's outcome.
type Observation struct {
	Do      string // as Call.Do, or SettingsOnly
	Outcome string
	Waited  time.Duration // in a queue
	Took    time.Duration // after that, until the answer
}

// Trace is a trace of one call. The zero value traces nothing.
type Trace struct {
	Parent string            // the call's traceparent, with which the app continues the trace
	End    func(Observation) // called once, with the call's outcome
}

// observe reports a call's outcome. c.mu may be held.
func (c *Client) observe(p *Pending, result *Result, err error, now time.Time) {
	o := Observation{Do: p.call.Do, Outcome: outcome(result, err)}
	if p.sentAt.IsZero() {
		o.Waited = now.Sub(p.madeAt)
	} else {
		o.Waited = p.sentAt.Sub(p.madeAt)
		o.Took = now.Sub(p.sentAt)
	}
	if o.Do == Open && o.Outcome == Answered {
		c.openLatency.add(o.Took)
	}
	if c.options.Observe != nil {
		c.options.Observe(o)
	}
	if p.trace.End != nil && o.Outcome != NeedsState {
		p.trace.End(o)
	}
}

func outcome(result *Result, err error) string {
	switch {
	case errors.Is(err, ErrBusy):
		return Busy
	case errors.Is(err, ErrNotSent):
		return Unsent
	case errors.As(err, new(timeoutError)):
		return TimedOut
	case err != nil:
		return Failed
	case result.Error != nil:
		return Raised
	case result.Need != "":
		return NeedsState
	}
	return Answered
}

// average is an exponential moving average of durations: each new one has a weight of a tenth. Of
// two concurrent adds one may be lost, which does not matter.
type average struct{ atomic.Int64 }

func (a *average) add(d time.Duration) {
	if before := a.Load(); before > 0 {
		a.Store(before + (int64(d)-before)/10)
	} else {
		a.Store(int64(d))
	}
}
