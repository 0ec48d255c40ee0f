package main

import (
	"log/slog"

	"github.com/catenary-cable/catenary/cmd/catenary/tracing"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// newBackend returns the client for calls to Rails. It needs a secret, unless everything is passed
// through.
func newBackend(cfg *config.Config, observe func(rpc.Observation), tracer *tracing.Tracer,
	log *slog.Logger) (*rpc.Client, error) {
	if err := cfg.RequireSecret(); err != nil && !cfg.PassesAll() {
		return nil, err
	}
	options := rpc.Options{
		URL: cfg.Backend.URL, Secret: cfg.Backend.Secret.Reveal(), Secrets: cfg.Backend.Secret.Texts(),
		Node: node(), Transport: cfg.Backend.Transport, Timeout: cfg.Backend.Timeout,
		Concurrency: cfg.Backend.Concurrency, Queue: cfg.Backend.Queue, Observe: observe, Log: log,
	}
	if tracer != nil {
		options.Trace = tracer.Call
	}
	return rpc.NewClient(options)
}
