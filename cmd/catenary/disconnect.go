package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
)

// disconnection is whom to disconnect, on all nodes.
type disconnection struct {
	Subject    string   `json:"sub"`
	ID         string   `json:"jti"`
	Identifier []string `json:"identifier"`
	Reconnect  *bool    `json:"reconnect"` // absent: true, as in Rails
}

type publisher interface {
	Publish(ctx context.Context, stream string, payload []byte) error
}

// publish tells every node, by way of the source of broadcasts.
func (d disconnection) publish(ctx context.Context, to publisher, secret string) error {
	if d.Subject == "" && d.ID == "" && len(d.Identifier) == 0 {
		return errors.New("whom? Say sub or jti of their token, or what identifies their connection")
	}
	reconnect := d.Reconnect == nil || *d.Reconnect
	if len(d.Identifier) > 0 {
		stream, payload := cable.RemoteDisconnect(d.Identifier, reconnect)
		if err := to.Publish(ctx, stream, payload); err != nil {
			return err
		}
	}
	if d.Subject == "" && d.ID == "" {
		return nil
	}
	return to.Publish(ctx, token.RevocationStream, token.Revocation{Subject: d.Subject, ID: d.ID, Reconnect: reconnect}.Sign(secret))
}

func disconnectCommand(environ []string) *cobra.Command {
	var d disconnection
	var reconnect bool
	c := &cobra.Command{
		Use:   "disconnect --sub 7 | --jti … | --identifier gid://app/User/7",
		Short: "end somebody's connections, on all nodes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(config.Input{Environ: environ, Flags: c.Flags()}, false)
			if err == nil {
				err = cfg.RequireSecret()
			}
			if err == nil && cfg.Unread != nil {
				err = fmt.Errorf("%w: say so here too, or ask the running catenary: POST /disconnect at operations.listen", cfg.Unread)
			}
			if err != nil {
				return err
			}
			source, err := newSource(fromOutside(cfg.Broadcasts), nil, &gaps{}, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			to, ok := source.(publisher)
			if !ok {
				return errors.New("everything is passed through: ask the application to disconnect")
			}
			d.Reconnect = &reconnect
			ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
			defer cancel()
			return d.publish(ctx, to, cfg.Backend.Secret.Reveal())
		},
	}
	config.RegisterFlags(c.Flags())
	c.Flags().StringVar(&d.Subject, "sub", "", "whose token has this sub")
	c.Flags().StringVar(&d.ID, "jti", "", "who came with the token of this jti")
	c.Flags().StringArrayVar(&d.Identifier, "identifier", nil, "who is identified by this; once for each identified_by")
	c.Flags().BoolVar(&reconnect, "reconnect", true, "whether browsers may come back")
	return c
}

// serveDisconnect does the same for POST /disconnect. A page in somebody's
// browser cannot send this content type to us.
func serveDisconnect(w http.ResponseWriter, r *http.Request, to publisher, secret string) {
	var d disconnection
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if kind != "application/json" || r.Header.Get("Origin") != "" {
		http.Error(w, "send JSON, with Content-Type: application/json", http.StatusUnsupportedMediaType)
		return
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		http.Error(w, fmt.Sprintf("send {\"sub\": …}, {\"jti\": …} or {\"identifier\": […]}: %v", err), http.StatusBadRequest)
		return
	}
	if err := d.publish(r.Context(), to, secret); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
