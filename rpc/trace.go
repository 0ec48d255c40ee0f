package rpc

// Trace is a call that is being traced; its zero value is one that is not.
type Trace struct {
	Parent string            // the traceparent with which the app goes on with the trace
	End    func(Observation) // called once, with what became of the call
}
