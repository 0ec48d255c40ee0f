package broadcast

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/lease"
)

// oneConnection is a node with one open connection.
type oneConnection struct {
	mu     sync.Mutex
	closed []string // connections of other nodes
}

func (c *oneConnection) Record(dst []byte, _ string) []byte {
	return append(dst, "the close call"...)
}

func (c *oneConnection) Close(_ context.Context, records []lease.Record) (closed []string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, record := range records {
		if string(record.Text) == "the close call" {
			c.closed = append(c.closed, record.Connection)
		}
		closed = append(closed, record.Connection)
	}
	return closed, nil
}

func (c *oneConnection) Taken([]string) {}

// TestRedis_KeepsLeasesInACluster: all keys of a node are in one slot, so its scripts run.
func TestRedis_KeepsLeasesInACluster(t *testing.T) {
	server, admin := startCluster(t)
	prefix := "app"
	start := func(name string) (l *lease.Lease, c *oneConnection, stop func()) {
		client, err := RedisOptions{Cluster: []string{server.address()}}.Client()
		if err != nil {
			t.Fatal(err)
		}
		l = lease.New(lease.Options{
			Redis: client, Prefix: &prefix, Node: name, Secret: "secret", TTL: time.Second, Log: quiet(),
		})
		c = &oneConnection{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			l.Run(ctx, c)
			close(done)
		}()
		stop = sync.OnceFunc(func() {
			cancel()
			<-done
		})
		t.Cleanup(stop)
		return l, c, stop
	}
	a, _, stop := start("a")
	a.Changed("a:1")
	eventually(t, "the record is in Redis", func() bool {
		return admin.HLen(context.Background(), "app:_catenary:{a}:connections").Val() == 1
	})
	b, survivor, _ := start("b")
	eventually(t, "the other node has a lease", func() bool { return b.Stats().Held })
	stop() // before Rails has run the disconnect callbacks
	eventually(t, "the other node closes the connection", func() bool {
		survivor.mu.Lock()
		defer survivor.mu.Unlock()
		return slices.Equal(survivor.closed, []string{"a:1"})
	})
	for _, key := range admin.Keys(context.Background(), "*").Val() {
		if !strings.HasPrefix(key, "app:_catenary:") {
			t.Errorf("the key %s has no prefix", key)
		}
	}
}
