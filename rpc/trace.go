package rpc

// Trace is a trace of one call. The zero value traces nothing.
type Trace struct {
	Parent string            // the call's traceparent, with which the app continues the trace
	End    func(Observation) // called once, with the call's outcome
}
