package main

import (
	"github.com/catenary-cable/catenary/cmd/catenary/tracing"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

func newBackend(cfg *config.Config, observe func(rpc.Observation), tracer *tracing.Tracer) (*rpc.Client, error) {
	if err := cfg.RequireSecret(); err != nil && !cfg.PassesAll() {
		return nil, err
	}
	options := rpc.Options{
		URL: cfg.Backend.URL, Secret: cfg.Backend.Secret.Reveal(), Node: node(), Timeout: cfg.Backend.Timeout,
		Concurrency: cfg.Backend.Concurrency, Adapt: !cfg.FixesConcurrency(), Queue: cfg.Backend.Queue, ReplyBytes: 16 << 20, Observe: observe,
	}
	if tracer != nil {
		options.Trace = tracer.Call
	}
	return rpc.NewClient(options)
}
