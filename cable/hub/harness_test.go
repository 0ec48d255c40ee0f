package hub

import (
	"context"
	"testing"

	"github.com/catenary-cable/catenary/cable/socket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// idle is a source that acknowledges at once.
type idle struct{}

func (idle) Run(ctx context.Context, _ func(string, []byte)) error { <-ctx.Done(); return nil }
func (idle) Subscribe(_ string, acknowledged func())               { acknowledged() }
func (idle) Unsubscribe(string)                                    {}
func (idle) Ready() error                                          { return nil }

// held is a source that acknowledges when the test says so.
type held struct {
	idle
	waiting []func()
}

func (h *held) Subscribe(_ string, acknowledged func()) { h.waiting = append(h.waiting, acknowledged) }

func (h *held) release() {
	for _, acknowledged := range h.waiting {
		acknowledged()
	}
}

// shut is a socket that drops what it is sent.
func shut(t testing.TB) *socket.Socket {
	t.Helper()
	all, err := socket.NewSockets(socket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := &socket.Socket{}
	s.Init(all, nil)
	s.SendClose(1000, "")
	return s
}

// nobody need not be told when a stream is live.
type nobody struct{}

func (nobody) Live(*Member) {}

// teller counts how often it was told.
type teller int

func (t *teller) Live(*Member) { *t++ }
