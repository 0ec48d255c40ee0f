package main

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

// publish asks every node, through the source of broadcasts. id names the stream on which nodes
// answer.
func (d disconnection) publish(ctx context.Context, to publisher, secret, id string) error {
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

// listenFunc has f called with each payload that is published on a stream, until leave. live is
// closed when the subscription is acknowledged.
type listenFunc func(stream string, f func(payload []byte)) (live <-chan struct{}, leave func())

// run closes the connections, and counts what the nodes answer.
func (d disconnection) run(ctx context.Context, to publisher, listen listenFunc,
	secret string) (found disconnected, err error) {
	if err := d.check(); err != nil {
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

// listenThrough listens as a member of streams of the running hub.
func listenThrough(h *hub.Hub) listenFunc {
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
