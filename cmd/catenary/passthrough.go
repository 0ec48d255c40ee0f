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

// newRelay is nil if nothing is left to the app's own Action Cable.
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

// sourceFor is a silent source if everything is passed through.
func sourceFor(cfg *config.Config, rails broadcast.Processes, gaps *gaps, log *slog.Logger) (source, error) {
	if cfg.PassesAll() {
		return noBroadcasts{}, nil
	}
	return newSource(cfg.Broadcasts, rails, gaps, log)
}

// noBroadcasts is the source of broadcasts of a catenary that needs none.
type noBroadcasts struct{}

func (noBroadcasts) Run(ctx context.Context, _ func(string, []byte)) error { <-ctx.Done(); return nil }
func (noBroadcasts) Subscribe(_ string, acknowledged func())               { acknowledged() }
func (noBroadcasts) Unsubscribe(string)                                    {}
func (noBroadcasts) Publish(context.Context, string, []byte) error         { return nil }
func (noBroadcasts) Ready() error                                          { return nil }

// probeOf asks whether an app without the gem answers at all. It is nil if there
// is the gem to ask.
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
			return fmt.Errorf("asking whether the app answers: %w", err)
		}
		response, err := client.Do(request)
		if err != nil {
			return fmt.Errorf("asking whether the app answers: %w", err)
		}
		return response.Body.Close()
	}
}
