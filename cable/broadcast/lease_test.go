package broadcast

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/lease"
)

// estate is a node's connections, of which there is one.
type estate struct {
	mu     sync.Mutex
	ended  bool
	closed []string // others'
}

func (e *estate) Record(to []byte, connection string) []byte {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended {
		return nil
	}
	return append(to, "what Rails must be told"...)
}

func (e *estate) Close(_ context.Context, records []lease.Record) (told []string, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, record := range records {
		if bytes.Equal(record.Text, []byte("what Rails must be told")) {
			e.closed = append(e.closed, record.Connection)
		}
		told = append(told, record.Connection)
	}
	return told, nil
}

func (e *estate) Taken([]string) {}

// TestRedis_KeepsLeasesInACluster: all keys of a node are in one slot, so its scripts run.
func TestRedis_KeepsLeasesInACluster(t *testing.T) {
	server, admin := startCluster(t)
	prefix := "app"
	node := func(name string) (l *lease.Lease, e *estate, stop func()) {
		client, err := RedisOptions{Cluster: []string{server.address()}}.Client()
		if err != nil {
			t.Fatal(err)
		}
		l, e = lease.New(lease.Options{Redis: client, Prefix: &prefix, Node: name, Secret: "secret", TTL: time.Second, Log: quiet()}), &estate{}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			l.Run(ctx, e)
			close(done)
		}()
		stop = sync.OnceFunc(func() {
			cancel()
			<-done
		})
		t.Cleanup(stop)
		return l, e, stop
	}
	a, _, stop := node("a")
	a.Changed("a:1")
	eventually(t, "the record is in Redis", func() bool { return admin.HLen(context.Background(), "app:_catenary:{a}:connections").Val() == 1 })
	b, e, _ := node("b")
	eventually(t, "the other has a lease", func() bool { return b.Stats().Held })
	stop() // before Rails knows of the end
	eventually(t, "the other ends it", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return slices.Equal(e.closed, []string{"a:1"})
	})
	for _, key := range admin.Keys(context.Background(), "*").Val() {
		if !strings.HasPrefix(key, "app:_catenary:") {
			t.Errorf("the key %s has no prefix", key)
		}
	}
}
