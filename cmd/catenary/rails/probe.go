package rails

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/catenary-cable/catenary/config"
)

// ProbeOf returns a function that checks that an app without the gem answers at all. It is nil if
// the gem is there to ask.
func ProbeOf(cfg *config.Config) func(context.Context) error {
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
