package tracing

import (
	"context"

	"github.com/catenary-cable/catenary/rpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Call starts the trace of a call to Rails, which includes its wait in a queue. The span is part of
// the trace in ctx, if ctx (nil is allowed) has one. POSTs that only ask for settings are not
// traced.
func (t *Tracer) Call(ctx context.Context, call *rpc.Call) rpc.Trace {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, span := t.tracer.Start(ctx, "call "+call.Do, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("catenary.connection", call.Connection)))
	carrier := propagation.MapCarrier{}
	t.header.Inject(ctx, carrier)
	return rpc.Trace{Parent: carrier["traceparent"], End: func(o rpc.Observation) {
		span.SetAttributes(
			attribute.String("catenary.outcome", o.Outcome),
			attribute.Float64("catenary.waited_seconds", o.Waited.Seconds()),
		)
		if o.Outcome != rpc.Answered && o.Outcome != rpc.NeedsState {
			span.SetStatus(codes.Error, o.Outcome)
		}
		span.End()
	}}
}
