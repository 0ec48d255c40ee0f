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
func (t *Tracer) Call(ctx context.Context, call *rpc.Call) rpc.Trace {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, span := t.tracer.Start(ctx, "call "+call.Do, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("catenary.connection", call.Connection),
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
