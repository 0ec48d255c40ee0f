package main

import (
	"context"
	"log/slog"
	"net/http"
	"strings"

	"github.com/catenary-cable/catenary/cmd/catenary/tracing"
	"github.com/catenary-cable/catenary/config"
)

// newTracer returns nil if tracing is off.
func newTracer(ctx context.Context, cfg config.Telemetry, environ []string,
	log *slog.Logger) (*tracing.Tracer, error) {
	disabled := strings.EqualFold(variable(environ, "OTEL_SDK_DISABLED"), "true")
	if cfg.OTLPEndpoint == "" && cfg.OTLPTracesEndpoint == "" || disabled {
		return nil, nil
	}
	return tracing.New(ctx, tracing.Options{
		Endpoint: cfg.OTLPEndpoint, TracesEndpoint: cfg.OTLPTracesEndpoint, Node: node(), Version: version, Log: log,
	})
}

// traced adds a span to each handshake.
func traced(tracer *tracing.Tracer, handler http.Handler) http.Handler {
	if tracer == nil {
		return handler
	}
	return tracer.Handshakes(handler)
}
