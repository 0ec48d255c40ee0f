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

// constant gives all connections the same record.
type constant []byte

func (c constant) Record(dst []byte, _ string) []byte                { return append(dst, c...) }
func (c constant) Close(context.Context, []Record) ([]string, error) { return nil, nil }
func (c constant) Taken([]string)                                    {}

// BenchmarkWrite measures a changed connection, until its record of 1,800 bytes is in Redis.
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
	l.apply(time.Now(), answer, nil)
	connections := make([]string, 10_000)
	for i := range connections {
		connections[i] = fmt.Sprintf("n-12345678:%d", i)
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Changed(connections[i%len(connections)])
		if i++; i%600 == 0 { // the changes within writeEvery in a storm
			for l.flush(context.Background()) {
			}
		}
	}
}
