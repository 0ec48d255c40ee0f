package lease

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// constant is a node all of whose connections have the same record, of a usual
// size.
type constant []byte

func (c constant) Record(to []byte, _ string) []byte                 { return append(to, c...) }
func (c constant) Close(context.Context, []Record) ([]string, error) { return nil, nil }
func (c constant) Taken([]string)                                    {}

// BenchmarkWrite writes the record of a connection that has changed.
func BenchmarkWrite(b *testing.B) {
	s := startRedis(b)
	l := New(Options{
		Redis: redis.NewClient(&redis.Options{Network: "unix", Addr: s.path, Protocol: 2, DisableIdentity: true}),
		Node:  "n", Secret: secret, TTL: time.Minute, Log: slog.New(slog.DiscardHandler),
	})
	defer l.redis.Close()
	l.connections = constant(strings.Repeat("x", 1800))
	answer, err := l.renew(context.Background())
	if err != nil {
		b.Fatal(err)
	}
	l.settle(time.Now(), answer, nil)
	connections := make([]string, 10_000)
	for i := range connections {
		connections[i] = fmt.Sprintf("n-12345678:%d", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Changed(connections[i%len(connections)])
		if i++; i%600 == 0 { // what a storm brings within writeEvery
			for l.flush(context.Background()) {
			}
		}
	}
}
