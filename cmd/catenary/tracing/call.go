package tracing

import (
	"context"

	"github.com/catenary-cable/catenary/rpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Call traces a call to Rails, its wait for its turn too. What catenary asks for
// itself is not traced.
func (t *Tracer) Call(ctx context.Context, calls []rpc.Call) rpc.Trace {
	if len(calls) == 0 {
		return rpc.Trace{}
	}
	ctx, span := t.tracer.Start(ctx, "call "+calls[0].Do, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("catenary.connection", calls[0].Connection), attribute.Int("catenary.calls", len(calls)),
	))
	carrier := propagation.MapCarrier{}
	t.header.Inject(ctx, carrier)
	return rpc.Trace{Parent: carrier["traceparent"], End: func(o rpc.Observation) {
		span.SetAttributes(attribute.String("catenary.outcome", o.Outcome), attribute.Float64("catenary.waited_seconds", o.Waited.Seconds()))
		if o.Outcome != rpc.Answered && o.Outcome != rpc.NeedsState {
			span.SetStatus(codes.Error, o.Outcome)
		}
		span.End()
	}}
}
