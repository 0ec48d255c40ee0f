package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/config"
	"github.com/spf13/cobra"
)

// disconnection is whom to disconnect, on all nodes.
type disconnection struct {
	Subject    string   `json:"sub,omitempty"`
	ID         string   `json:"jti,omitempty"`
	Identifier []string `json:"identifier,omitempty"`
	Reconnect  *bool    `json:"reconnect,omitempty"` // absent: true, as in Rails
}

type publisher interface {
	Publish(ctx context.Context, stream string, payload []byte) error
}

// publish tells every node, by way of the source of broadcasts. asked names where
// the nodes answer.
func (d disconnection) publish(ctx context.Context, to publisher, secret, asked string) error {
	reconnect := d.Reconnect == nil || *d.Reconnect
	if len(d.Identifier) > 0 {
		stream, payload := cable.RemoteDisconnect(d.Identifier, reconnect, asked)
		if err := to.Publish(ctx, stream, payload); err != nil {
			return err
		}
	}
	if d.Subject == "" && d.ID == "" {
		return nil
	}
	return to.Publish(ctx, token.RevocationStream, token.Revocation{Subject: d.Subject, ID: d.ID, Reconnect: reconnect, Asked: asked}.Sign(secret))
}

func (d disconnection) check() error {
	if d.Subject == "" && d.ID == "" && len(d.Identifier) == 0 {
		return errors.New("whom? Say sub or jti of their token, or what identifies their connection")
	}
	return nil
}

// disconnected is how many a request has met.
type disconnected struct {
	Connections int `json:"connections"`
	Nodes       int `json:"nodes"`
}

func (d disconnected) String() string {
	switch {
	case d.Connections == 0:
		return "nobody who is connected is called so"
	case d.Connections == 1:
		return "1 connection is ended"
	case d.Nodes == 1:
		return fmt.Sprintf("%d connections are ended", d.Connections)
	}
	return fmt.Sprintf("%d connections are ended, on %d nodes", d.Connections, d.Nodes)
}

// Nodes answer at once; one after another when they are busy.
const (
	firstAnswer = time.Second
	nextAnswer  = 200 * time.Millisecond
)

// listener has f called with what is published on a stream. live is closed once
// nothing is missed.
type listener func(stream string, f func(payload []byte)) (live <-chan struct{}, leave func())

// run has the connections ended, and counts what nodes answer.
func (d disconnection) run(ctx context.Context, to publisher, listen listener, secret string) (found disconnected, err error) {
	if err := d.check(); err != nil {
		return found, err
	}
	asked := rand.Text()
	answers := make(chan cable.Met, 100)
	live, leave := listen(cable.MetStream(asked), func(payload []byte) {
		var one cable.Met
		if json.Unmarshal(payload, &one) == nil {
			select {
			case answers <- one:
			default:
			}
		}
	})
	defer leave()
	select {
	case <-live:
	case <-ctx.Done():
		return found, fmt.Errorf("nothing can be heard of what nodes answer: %w", context.Cause(ctx))
	}
	if err := d.publish(ctx, to, secret, asked); err != nil {
		return found, err
	}
	nodes := map[string]bool{}
	for wait := firstAnswer; ; wait = nextAnswer {
		select {
		case one := <-answers:
			found.Connections += one.Connections
			if one.Connections > 0 {
				nodes[one.Node] = true
			}
			found.Nodes = len(nodes)
		case <-time.After(wait):
			return found, nil
		case <-ctx.Done():
			return found, nil
		}
	}
}

var errNotRunning = errors.New("no catenary of this app runs here")

// byRunning asks the catenary that runs here, which knows where broadcasts are
// published.
func (d disconnection) byRunning(ctx context.Context, cfg *config.Config) (found disconnected, err error) {
	if err := d.check(); err != nil {
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
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, operationsOf(cfg)+"/disconnect", bytes.NewReader(body))
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

var errPassesAll = errors.New("everything is passed through: ask the application to disconnect")

// bySource publishes where the app publishes broadcasts.
func (d disconnection) bySource(ctx context.Context, cfg *config.Config) (found disconnected, err error) {
	if cfg.PassesAll() {
		return found, errPassesAll
	}
	err = cfg.RequireSecret()
	if err == nil && cfg.Unread != nil {
		err = fmt.Errorf("%w: say so here too, or run this beside catenary", cfg.Unread)
	}
	if err != nil {
		return found, err
	}
	source, err := newSource(cfg.Broadcasts, nil, &gaps{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return found, err
	}
	err = from(ctx, source, func(to publisher, listen listener) (err error) {
		found, err = d.run(ctx, to, listen, cfg.Backend.Secret.Reveal())
		if err != nil {
			err = cmp.Or(source.Ready(), err)
		}
		return err
	})
	return found, err
}

// from runs a source of its own to publish to and to listen by, and then f.
func from(ctx context.Context, s source, f func(publisher, listener) error) error {
	ctx, stop := context.WithCancel(ctx)
	var mu sync.Mutex
	heard := map[string]func([]byte){}
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(stream string, payload []byte) {
			mu.Lock()
			f := heard[stream]
			mu.Unlock()
			if f != nil {
				f(payload)
			}
		})
	}()
	defer func() { stop(); <-ended }()
	return f(s, func(stream string, f func([]byte)) (<-chan struct{}, func()) {
		mu.Lock()
		heard[stream] = f
		mu.Unlock()
		live := make(chan struct{})
		s.Subscribe(stream, func() { close(live) })
		return live, func() { s.Unsubscribe(stream) }
	})
}

func disconnectCommand(environ []string, stdout io.Writer) *cobra.Command {
	var d disconnection
	var reconnect bool
	c := &cobra.Command{
		Use:   "disconnect --sub 7 | --jti … | --identifier gid://app/User/7",
		Short: "end somebody's connections, on all nodes",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := load(config.Input{Environ: environ, Flags: c.Flags()}, false)
			if err != nil {
				return err
			}
			d.Reconnect = &reconnect
			ctx, cancel := context.WithTimeout(c.Context(), 10*time.Second)
			defer cancel()
			found, err := d.byRunning(ctx, cfg)
			if errors.Is(err, errNotRunning) {
				found, err = d.bySource(ctx, cfg)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(stdout, found)
			return err
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
func (a *assembly) serveDisconnect(w http.ResponseWriter, r *http.Request) {
	source, running := a.ready.source.Load(), a.meters.running.Load()
	if source == nil || running == nil {
		http.Error(w, "catenary does not know, or not yet, where the app publishes broadcasts", http.StatusServiceUnavailable)
		return
	}
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
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	found, err := d.run(ctx, *source, hubListener(running.hub), a.backend.Secret())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(found)
}

func hubListener(h *hub.Hub) listener {
	return func(stream string, f func([]byte)) (<-chan struct{}, func()) {
		live := &liveness{make(chan struct{})}
		m := &hub.Member{Subscriber: live, Callback: func(payload string) { f([]byte(payload)) }}
		if h.Join(stream, "", m) {
			live.Live(m)
		}
		return live.live, func() { h.Leave(m) }
	}
}

// liveness is closed when a stream is live.
type liveness struct{ live chan struct{} }

func (l *liveness) Live(*hub.Member) { close(l.live) }
