package rpc

import "context"

// Trace is a call that is being traced; its zero value is one that is not.
type Trace struct {
	Parent string            // the header traceparent, with which the app goes on with the trace
	End    func(Observation) // called once, with what became of the call
}

func (c *Client) trace(ctx context.Context, calls []Call) Trace {
	if c.options.Trace == nil {
		return Trace{}
	}
	return c.options.Trace(ctx, calls)
}
