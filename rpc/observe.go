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
	Unsent     = "unsent"      // it has not reached Rails: a caller that can wait makes it again
	Busy       = "busy"        // the same, since too many wait
	Failed     = "failed"      // another status than 200, or a connection cut in the middle
)

// Observation is what became of a call, or of calls that shared a request.
type Observation struct {
	Do      string // of the first; "settings" if there is none
	Outcome string
	Waited  time.Duration // for its turn
	Took    time.Duration // then
}

// SettingsOnly is the Do of an Observation of no calls.
const SettingsOnly = "settings"

// observe runs in the lane where it can: the stacks of those who wait stay small.
func (c *Client) observe(trace Trace, calls []Call, reply *Reply, err error, waited, took time.Duration) {
	o := Observation{Do: SettingsOnly, Outcome: outcome(reply, err), Waited: waited, Took: took}
	if len(calls) > 0 {
		o.Do = calls[0].Do
	}
	if o.Do == Open && o.Outcome == Answered {
		c.opening.add(took)
	}
	if c.options.Observe != nil {
		c.options.Observe(o)
	}
	if trace.End != nil {
		trace.End(o)
	}
}

func outcome(reply *Reply, err error) string {
	switch {
	case errors.Is(err, ErrBusy):
		return Busy
	case errors.Is(err, ErrNotSent):
		return Unsent
	case errors.As(err, new(timeoutError)):
		return TimedOut
	case err != nil:
		return Failed
	}
	for _, result := range reply.Results {
		switch {
		case result.Error != nil:
			return Raised
		case result.Need != "":
			return NeedsState
		}
	}
	return Answered
}
