package hub

import (
	"context"
	"os"
	"testing"

	"github.com/catenary-cable/catenary/cable/socket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if address := os.Getenv(readersAt); address != "" {
		readAt(address)
		return
	}
	goleak.VerifyTestMain(m)
}

// idle is a source that acknowledges at once.
type idle struct{}

func (idle) Run(ctx context.Context, _ func(string, []byte)) error { <-ctx.Done(); return nil }
func (idle) Subscribe(_ string, acknowledged func())               { acknowledged() }
func (idle) Unsubscribe(string)                                    {}
func (idle) Ready() error                                          { return nil }

// delaying is a source that acknowledges when the test calls release.
type delaying struct {
	idle
	waiting []func()
}

func (d *delaying) Subscribe(_ string, acknowledged func()) {
	d.waiting = append(d.waiting, acknowledged)
}

func (d *delaying) release() {
	for _, acknowledged := range d.waiting {
		acknowledged()
	}
}

// closedSocket drops all frames.
func closedSocket(t testing.TB) *socket.Socket {
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

// ignoring is a subscriber that does nothing when a stream is live.
type ignoring struct{}

func (ignoring) Live(*Member) {}

// counting is a subscriber that counts how often a stream is reported live.
type counting int

func (c *counting) Live(*Member) { *c++ }
