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

// disconnection names the connections to close, on all nodes: by their token's sub or jti, or by
// their identifiers.
type disconnection struct {
	Subject    string   `json:"sub,omitempty"`
	ID         string   `json:"jti,omitempty"`
	Identifier []string `json:"identifier,omitempty"`
	Reconnect  *bool    `json:"reconnect,omitempty"` // absent: true, as in Rails
}

type publisher interface {
	Publish(ctx context.Context, stream string, payload []byte) error
}

// publish asks every node, through the source of broadcasts. asked names the stream on which nodes
// answer.
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
	revocation := token.Revocation{Subject: d.Subject, ID: d.ID, Reconnect: reconnect, Asked: asked}
	return to.Publish(ctx, token.RevocationStream, revocation.Sign(secret))
}

func (d disconnection) check() error {
	if d.Subject == "" && d.ID == "" && len(d.Identifier) == 0 {
		return errors.New("name the connections to close: by sub or jti of their token, or by identifier")
	}
	return nil
}

// disconnected counts the connections that were closed, and the nodes that had some.
type disconnected struct {
	Connections int `json:"connections"`
	Nodes       int `json:"nodes"`
}

func (d disconnected) String() string {
	switch {
	case d.Connections == 0:
		return "no matching connection"
	case d.Connections == 1:
		return "1 connection closed"
	case d.Nodes == 1:
		return fmt.Sprintf("%d connections closed", d.Connections)
	}
	return fmt.Sprintf("%d connections closed, on %d nodes", d.Connections, d.Nodes)
}

// How long run waits for the first answer of a node, and for each further one.
const (
	firstAnswer = time.Second
	nextAnswer  = 200 * time.Millisecond
)

// listenFunc has f called with each payload that is published on a stream, until leave. live is closed
// when the subscription is acknowledged.
type listenFunc func(stream string, f func(payload []byte)) (live <-chan struct{}, leave func())

// run closes the connections, and counts what the nodes answer.
func (d disconnection) run(ctx context.Context, to publisher, listen listenFunc, secret string) (found disconnected, err error) {
	if err := d.check(); err != nil {
		return found, err
	}
	asked := rand.Text()
	answers := make(chan cable.DisconnectCount, 100)
	live, leave := listen(cable.DisconnectCountStream(asked), func(payload []byte) {
		var one cable.DisconnectCount
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
		return found, fmt.Errorf("subscribing to the answers of nodes: %w", context.Cause(ctx))
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

// byRunning asks the catenary that runs here, with POST /disconnect. It knows where broadcasts are
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

var errPassesAll = errors.New("everything is passed through to the app (pass_through: all): disconnect in the app")

// bySource publishes the request itself, where the app publishes broadcasts.
func (d disconnection) bySource(ctx context.Context, cfg *config.Config) (found disconnected, err error) {
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
	source, err := newSource(cfg.Broadcasts, nil, &gaps{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return found, err
	}
	err = withSource(ctx, source, func(to publisher, listen listenFunc) (err error) {
		found, err = d.run(ctx, to, listen, cfg.Backend.Secret.Reveal())
		if err != nil {
			err = cmp.Or(source.Ready(), err)
		}
		return err
	})
	return found, err
}

// withSource runs a source for as long as f publishes to it and listens to it.
func withSource(ctx context.Context, s source, f func(publisher, listenFunc) error) error {
	ctx, stop := context.WithCancel(ctx)
	var mu sync.Mutex
	callbacks := map[string]func([]byte){}
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(stream string, payload []byte) {
			mu.Lock()
			callback := callbacks[stream]
			mu.Unlock()
			if callback != nil {
				callback(payload)
			}
		})
	}()
	defer func() { stop(); <-done }()
	return f(s, func(stream string, f func([]byte)) (<-chan struct{}, func()) {
		mu.Lock()
		callbacks[stream] = f
		mu.Unlock()
		live := make(chan struct{})
		s.Subscribe(stream, func() { close(live) })
		return live, func() { s.Unsubscribe(stream) }
	})
}

const disconnectHelp = `catenary disconnect closes connections on all nodes: by the sub or jti of their
token, or by their identifiers, as ActionCable.server.remote_connections does.
It asks the catenary that runs on this machine, or publishes the request where
the app publishes broadcasts if none runs here.

    catenary disconnect --sub 7
    catenary disconnect --identifier gid://app/User/7 --reconnect=false`

func disconnectCommand(environ []string, stdout io.Writer) *cobra.Command {
	var d disconnection
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
	c.Flags().StringVar(&d.Subject, "sub", "", "close connections whose token has this sub")
	c.Flags().StringVar(&d.ID, "jti", "", "close connections whose token has this jti")
	c.Flags().StringArrayVar(&d.Identifier, "identifier", nil, "close connections with this identifier; give one for each identified_by")
	c.Flags().BoolVar(&reconnect, "reconnect", true, "whether browsers may reconnect")
	return c
}

// serveDisconnect answers POST /disconnect. It takes only JSON, a content type that a page in a
// browser cannot send to another origin.
func (a *assembly) serveDisconnect(w http.ResponseWriter, r *http.Request) {
	source, running := a.ready.source.Load(), a.meters.running.Load()
	if source == nil || running == nil {
		http.Error(w, "catenary does not know yet where the app publishes broadcasts", http.StatusServiceUnavailable)
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
	found, err := d.run(ctx, *source, listenThrough(running.hub), a.backend.Secret())
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	json.NewEncoder(w).Encode(found)
}

// listenThrough listens as a member of streams of the running hub.
func listenThrough(h *hub.Hub) listenFunc {
	return func(stream string, f func([]byte)) (<-chan struct{}, func()) {
		live := &liveness{make(chan struct{})}
		m := &hub.Member{Subscriber: live, Callback: func(payload string) { f([]byte(payload)) }}
		if h.Join(stream, "", m) {
			live.Live(m)
		}
		return live.live, func() { h.Leave(m) }
	}
}

// liveness is a hub.Subscriber that closes live when the stream is live.
type liveness struct{ live chan struct{} }

func (l *liveness) Live(*hub.Member) { close(l.live) }
