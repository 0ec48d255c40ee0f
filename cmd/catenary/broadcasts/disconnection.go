package broadcasts

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/hub"
)

// Disconnection names the connections to close, on all nodes: by their token's sub or jti, or by
// their identifiers.
type Disconnection struct {
	Subject    string   `json:"sub,omitempty"`
	ID         string   `json:"jti,omitempty"`
	Identifier []string `json:"identifier,omitempty"`
	Reconnect  *bool    `json:"reconnect,omitempty"` // absent: true, as in Rails
}

// A Publisher broadcasts as the app does.
type Publisher interface {
	Publish(ctx context.Context, stream string, payload []byte) error
}

// publish asks every node, through the source of broadcasts. id names the stream on which nodes
// answer.
func (d Disconnection) publish(ctx context.Context, to Publisher, secret, id string) error {
	reconnect := d.Reconnect == nil || *d.Reconnect
	if len(d.Identifier) > 0 {
		stream, payload := cable.RemoteDisconnect(d.Identifier, reconnect, id)
		if err := to.Publish(ctx, stream, payload); err != nil {
			return err
		}
	}
	if d.Subject == "" && d.ID == "" {
		return nil
	}
	revocation := token.Revocation{Subject: d.Subject, ID: d.ID, Reconnect: reconnect, Asked: id}
	return to.Publish(ctx, token.RevocationStream, revocation.Sign(secret))
}

// Check returns an error if d names no connection.
func (d Disconnection) Check() error {
	if d.Subject == "" && d.ID == "" && len(d.Identifier) == 0 {
		return errors.New("name the connections to close: by sub or jti of their token, or by identifier")
	}
	return nil
}

// Disconnected counts the connections that were closed, and the nodes that had some.
type Disconnected struct {
	Connections int `json:"connections"`
	Nodes       int `json:"nodes"`
}

func (d Disconnected) String() string {
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

// How long Run waits for the first answer of a node, and for each further one.
const (
	firstAnswer = time.Second
	nextAnswer  = 200 * time.Millisecond
)

// Listen has f called with each payload that is published on a stream, until leave. live is
// closed when the subscription is acknowledged.
type Listen func(stream string, f func(payload []byte)) (live <-chan struct{}, leave func())

// Run closes the connections, and counts what the nodes answer.
func (d Disconnection) Run(ctx context.Context, to Publisher, listen Listen,
	secret string) (found Disconnected, err error) {
	if err := d.Check(); err != nil {
		return found, err
	}
	id := rand.Text()
	answers := make(chan cable.DisconnectCount, 100)
	live, leave := listen(cable.DisconnectCountStream(id), func(payload []byte) {
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
	if err := d.publish(ctx, to, secret, id); err != nil {
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

// WithSource runs a source for as long as f publishes to it and listens to it.
func WithSource(ctx context.Context, s Source, f func(Publisher, Listen) error) error {
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

// ListenThrough listens as a member of streams of the running hub.
func ListenThrough(h *hub.Hub) Listen {
	return func(stream string, f func([]byte)) (<-chan struct{}, func()) {
		live := &liveness{make(chan struct{})}
		m := &hub.Member{Subscriber: live, Callback: func(b hub.Broadcast) { f([]byte(b.Payload)) }}
		if h.Join(stream, "", m) {
			live.Live(m)
		}
		return live.live, func() { h.Leave(m) }
	}
}

// liveness is a hub.Subscriber that closes live when the stream is live.
type liveness struct{ live chan struct{} }

func (l *liveness) Live(*hub.Member) { close(l.live) }
