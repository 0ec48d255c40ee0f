package tracing

import (
	"context"

	"github.com/catenary-cable/catenary/cable/hub"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// Broadcast traces a broadcast after its delivery.
func (t *Tracer) Broadcast(d hub.Delivery) {
	_, span := t.tracer.Start(context.Background(), "broadcast",
		trace.WithTimestamp(d.Arrived), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			attribute.String("catenary.stream", d.Stream),
			attribute.Int("catenary.members", d.Members),
			attribute.Int("catenary.bytes", d.Bytes),
		),
	)
	span.End(trace.WithTimestamp(d.Arrived.Add(d.Took)))
}
