package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/broadcast"
	"github.com/catenary-cable/catenary/cable/relay"
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

// sourceFor returns an empty source if everything is passed through.
func sourceFor(cfg *config.Config, rails broadcast.Processes, gaps *gaps, log *slog.Logger) (source, error) {
	if cfg.PassesAll() {
		return noBroadcasts{}, nil
	}
	return newSource(cfg.Broadcasts, rails, gaps, log)
}

// noBroadcasts is a source without broadcasts.
type noBroadcasts struct{}

func (noBroadcasts) Run(ctx context.Context, _ func(string, []byte)) error { <-ctx.Done(); return nil }
func (noBroadcasts) Subscribe(_ string, acknowledged func())               { acknowledged() }
func (noBroadcasts) Unsubscribe(string)                                    {}
func (noBroadcasts) Publish(context.Context, string, []byte) error         { return nil }
func (noBroadcasts) Ready() error                                          { return nil }

// probeOf returns a function that checks that an app without the gem answers at all. It is nil if
// the gem is there to ask.
func probeOf(cfg *config.Config) func(context.Context) error {
	if !cfg.PassesAll() {
		return nil
	}
	address, transport := cfg.Backend.URL, &http.Transport{DisableKeepAlives: true}
	if u, err := url.Parse(address); err == nil && u.Scheme == "unix" {
		address = "http://localhost"
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.Path)
		}
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, address+cfg.Paths[0], nil)
		if err != nil {
			return fmt.Errorf("checking that the app answers: %w", err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("checking that the app answers: %w", err)
		}
		return response.Body.Close()
	}
}
