// Package tracing sends traces of handshakes, of calls to Rails and of some
// broadcasts to an OpenTelemetry collector, and has Rails go on with them.
//
// Only here is OpenTelemetry known: the server and the calls have hooks, which
// are nil when there is no collector. docs/traces.md says what spans there are.
package tracing

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
	api "go.opentelemetry.io/otel/trace"
)

// Options say where spans go and whose they are.
type Options struct {
	Endpoint       string // the collector's; /v1/traces is added
	TracesEndpoint string // the whole URL instead
	Node, Version  string
	Log            *slog.Logger
}

// Tracer makes spans.
type Tracer struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
	header   propagation.TraceContext
}

// New makes a tracer that sends its spans in the background, and drops them if
// the collector does not keep up. What Options leave open (headers, sampler,
// service name) OpenTelemetry's SDK reads from its own variables, OTEL_….
func New(ctx context.Context, o Options) (*Tracer, error) {
	endpoint := o.TracesEndpoint
	if endpoint == "" {
		joined, err := url.JoinPath(o.Endpoint, "v1", "traces")
		if err != nil {
			return nil, fmt.Errorf("telemetry.otlp_endpoint: %w", err)
		}
		endpoint = joined
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(endpoint))
	if err != nil {
		return nil, fmt.Errorf("telemetry.otlp_endpoint: %w", err)
	}
	whose, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "catenary"), attribute.String("service.version", o.Version), attribute.String("service.instance.id", o.Node),
		),
		resource.WithTelemetrySDK(), resource.WithFromEnv(), // the last wins
	)
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := trace.NewTracerProvider(trace.WithBatcher(&exports{Exporter: exporter, log: o.Log}), trace.WithResource(whose))
	return &Tracer{provider: provider, tracer: provider.Tracer("catenary", api.WithInstrumentationVersion(o.Version))}, nil
}

// Close sends what has not been sent yet.
func (t *Tracer) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	t.provider.Shutdown(ctx)
}

// exports tells the log when spans cannot be sent, once until they can again.
type exports struct {
	*otlptrace.Exporter
	log *slog.Logger

	mu     sync.Mutex
	failed bool
}

func (e *exports) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := e.Exporter.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil && !e.failed {
		why, _, _ := strings.Cut(err.Error(), "\n")
		e.log.Warn("traces cannot be sent", "error", why)
	}
	e.failed = err != nil
	return nil // the SDK would write it to the standard error
}
