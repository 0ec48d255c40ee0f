package rpc

import (
	"errors"
	"time"
)

// Outcomes of calls.
const (
	Answered   = "answered"
	NeedsState = "needs_state" // the process of Rails has not the objects: the call is made again, in full
	Raised     = "error"       // Rails could not run it, see Error
	TimedOut   = "timeout"     // it may still run
	Unsent     = "unsent"      // it has not reached Rails
	Busy       = "busy"        // the same, since too many wait
	Failed     = "failed"      // another status than 200, or a connection cut in the middle
)

// Observation is what became of a call.
type Observation struct {
	Do      string // "settings" for a request without calls
	Outcome string
	Waited  time.Duration // for its turn
	Took    time.Duration // then
}

// SettingsOnly is the Do of an Observation of no calls.
const SettingsOnly = "settings"

// observe tells of a call's outcome. c.mu may be held.
func (c *Client) observe(p *Pending, result *Result, err error, now time.Time) {
	o := Observation{Do: p.call.Do, Outcome: outcome(result, err)}
	if p.sent.IsZero() {
		o.Waited = now.Sub(p.asked)
	} else {
		o.Waited, o.Took = p.sent.Sub(p.asked), now.Sub(p.sent)
	}
	if o.Do == Open && o.Outcome == Answered {
		c.opening.add(o.Took)
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
