// Package tracing sends traces of handshakes, calls to Rails and some broadcasts to an
// OpenTelemetry collector, and lets Rails continue them. docs/traces.md lists the spans.
//
// Only this package knows OpenTelemetry. The server and package rpc have hooks, which are nil
// without a collector.
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

// Options say where spans go and which node they are from.
type Options struct {
	Endpoint       string // the collector's URL, to which New adds /v1/traces
	TracesEndpoint string // the whole URL, instead of Endpoint
	Node, Version  string
	Log            *slog.Logger
}

// Tracer makes spans.
type Tracer struct {
	provider *trace.TracerProvider
	tracer   api.Tracer
	header   propagation.TraceContext
}

// New returns a tracer that sends its spans in the background, and drops them if the collector does
// not keep up. The SDK reads the rest (headers, sampler, service name) from OTEL_… variables.
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
	res, err := resource.New(ctx,
		resource.WithAttributes(
			attribute.String("service.name", "catenary"),
			attribute.String("service.version", o.Version),
			attribute.String("service.instance.id", o.Node),
		),
		resource.WithTelemetrySDK(), resource.WithFromEnv(), // the last wins
	)
	if err != nil {
		return nil, fmt.Errorf("reading OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	provider := trace.NewTracerProvider(
		trace.WithBatcher(&loggingExporter{Exporter: exporter, log: o.Log}), trace.WithResource(res))
	tracer := provider.Tracer("catenary", api.WithInstrumentationVersion(o.Version))
	return &Tracer{provider: provider, tracer: tracer}, nil
}

// Close sends the remaining spans, for up to three seconds.
func (t *Tracer) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	t.provider.Shutdown(ctx)
}

// loggingExporter logs the first of several failed exports in a row.
type loggingExporter struct {
	*otlptrace.Exporter
	log *slog.Logger

	mu     sync.Mutex
	failed bool
}

func (e *loggingExporter) ExportSpans(ctx context.Context, spans []trace.ReadOnlySpan) error {
	err := e.Exporter.ExportSpans(ctx, spans)
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil && !e.failed {
		cause, _, _ := strings.Cut(err.Error(), "\n")
		e.log.Warn("failed to export traces", "error", cause)
	}
	e.failed = err != nil
	return nil // the SDK would write an error to stderr
}
