package main

import (
	"log/slog"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/broadcast"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/config"
)

// newRelay returns nil if no channel is passed through to the app's own Action Cable.
func newRelay(cfg *config.Config, proxies admission.Proxies) (*relay.Relay, error) {
	if len(cfg.PassThrough) == 0 {
		return nil, nil
	}
	through, err := relay.New(cfg.Backend.URL, cfg.PassThrough...)
	if err == nil {
		through.Proxies = proxies
	}
	return through, err
}

// newSource returns an empty source if everything is passed through.
func newSource(cfg *config.Config, processes broadcast.Processes, gaps *broadcasts.Gaps, log *slog.Logger) (broadcasts.Source, error) {
	if cfg.PassesAll() {
		return broadcasts.None{}, nil
	}
	return broadcasts.New(cfg.Broadcasts, processes, gaps, log)
}
