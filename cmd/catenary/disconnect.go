package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
)

const disconnectHelp = `catenary disconnect closes connections on all nodes: by the sub or jti of their
token, or by their identifiers, as ActionCable.server.remote_connections does.
It asks the catenary that runs on this machine, or publishes the request where
the app publishes broadcasts if none runs here.

    catenary disconnect --sub 7
    catenary disconnect --identifier gid://app/User/7 --reconnect=false`

func disconnectCommand(environ []string, stdout io.Writer) *cobra.Command {
	var d broadcasts.Disconnection
	var reconnect bool
	c := &cobra.Command{
		Use:   "disconnect --sub 7 | --jti … | --identifier gid://app/User/7",
		Short: "close a user's connections, on all nodes",
		Long:  disconnectHelp,
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(config.Input{Environ: environ, Flags: c.Flags()}, false)
			if err != nil {
				return err
			}
			d.Reconnect = &reconnect
			ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
			defer cancel()
			found, err := byRunning(ctx, cfg, d)
			if errors.Is(err, errNotRunning) {
				found, err = bySource(ctx, cfg, d)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, found)
			return err
		},
	}
	config.RegisterFlags(c.Flags())
	c.Flags().StringVar(&d.Subject, "sub", "", "close connections whose token has this sub")
	c.Flags().StringVar(&d.ID, "jti", "", "close connections whose token has this jti")
	c.Flags().StringArrayVar(&d.Identifier, "identifier", nil,
		"close connections with this identifier; give one for each identified_by")
	c.Flags().BoolVar(&reconnect, "reconnect", true, "whether browsers may reconnect")
	return c
}

var errNotRunning = errors.New("no catenary of this app runs here")

// byRunning asks the catenary that runs here, with POST /disconnect. It knows where broadcasts are
// published.
func byRunning(ctx context.Context, cfg *config.Config, d broadcasts.Disconnection) (found broadcasts.Disconnected, err error) {
	if err := d.Check(); err != nil {
		return found, err
	}
	if cfg.Operations.Listen == "" {
		return found, errNotRunning
	}
	running, err := runningHere(ctx, cfg)
	if err != nil {
		return found, fmt.Errorf("%w: %w", errNotRunning, err)
	}
	if running.PassesAll {
		return found, errPassesAll
	}
	body, err := json.Marshal(d)
	if err != nil {
		return found, err
	}
	address := operationsOf(cfg) + "/disconnect"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return found, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return found, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusAccepted {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1024))
		return found, errors.New(strings.TrimSpace(string(text)))
	}
	return found, json.NewDecoder(response.Body).Decode(&found)
}

var errPassesAll = errors.New("everything is passed through to the app (pass_through: all): disconnect in the app")

// bySource publishes the request itself, where the app publishes broadcasts.
func bySource(ctx context.Context, cfg *config.Config, d broadcasts.Disconnection) (found broadcasts.Disconnected, err error) {
	if cfg.PassesAll() {
		return found, errPassesAll
	}
	err = cfg.RequireSecret()
	if err == nil && cfg.Unread != nil {
		err = fmt.Errorf("%w: set that here too, or run this beside catenary", cfg.Unread)
	}
	if err != nil {
		return found, err
	}
	source, err := broadcasts.New(cfg.Broadcasts, nil, &broadcasts.Gaps{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return found, err
	}
	err = broadcasts.WithSource(ctx, source, func(to broadcasts.Publisher, listen broadcasts.Listen) (err error) {
		found, err = d.Run(ctx, to, listen, cfg.Backend.Secret.Reveal())
		if err != nil {
			err = cmp.Or(source.Ready(), err)
		}
		return err
	})
	return found, err
}

// serveDisconnect answers POST /disconnect. It takes only JSON, a content type that a page in a
// browser cannot send to another origin.
func (a *assembly) serveDisconnect(w http.ResponseWriter, r *http.Request) {
	source, hub := a.ready.source.Load(), a.meters.Hub()
	if source == nil || hub == nil {
		http.Error(w, "catenary does not know yet where the app publishes broadcasts", http.StatusServiceUnavailable)
		return
	}
	var d broadcasts.Disconnection
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if kind != "application/json" || r.Header.Get("Origin") != "" {
		http.Error(w, "send JSON, with Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		text := fmt.Sprintf(`send {"sub": …}, {"jti": …} or {"identifier": […]}: %v`, err)
		http.Error(w, text, http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	found, err := d.Run(ctx, *source, broadcasts.ListenThrough(hub), a.backend.Secret())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(found)
}
