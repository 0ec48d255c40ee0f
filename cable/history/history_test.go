package history

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a real Redis, to which the gem's script publishes.
type store struct {
	*testing.T
	client redis.UniversalClient
	script *redis.Script
	epochs int
}

func startStore(t *testing.T) *store {
	return newStore(t, startServer(t, withoutDisk...).client)
}

func newStore(t *testing.T, client redis.UniversalClient) *store {
	gem, err := os.ReadFile("../../rpc/rails/lib/catenary/rails/history.rb")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(gem), "<<~'LUA'\n")
	script, _, found := strings.Cut(rest, "      LUA\n")
	if !found {
		t.Fatal("the gem's script was not found")
	}
	return &store{T: t, client: client, script: redis.NewScript(script)}
}

// server is a redis-server.
type server struct {
	address string
	client  *redis.Client
	process *exec.Cmd
}

// startServer starts a redis-server with these arguments, on a free port.
func startServer(t *testing.T, arguments ...string) *server {
	t.Helper()
	port, folder := freePort(t), t.TempDir()
	address := "127.0.0.1:" + port
	arguments = append(slices.Clone(arguments), "--port", port, "--bind", "127.0.0.1", "--dir", folder)
	s := &server{address: address, process: exec.Command("redis-server", arguments...)}
	s.process.Dir = folder
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		t.Fatalf("these tests need redis-server in PATH (Debian: apt install redis-server): %v", err)
	}
	s.client = redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true, MaxRetries: -1})
	t.Cleanup(func() {
		s.client.Close()
		s.kill()
	})
	patience.Eventually(t, "redis-server answers", func() bool { return s.client.Ping(t.Context()).Err() == nil })
	return s
}

func freePort(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// withoutDisk keeps a redis-server from writing its data.
var withoutDisk = []string{"--save", "", "--appendonly", "no"}

func (s *server) kill() {
	s.process.Process.Kill()
	s.process.Wait()
}

// publish has the gem's script publish the numbers from first to last and keep 5 of them. If it begins
// an epoch, the epoch has a name of its own.
func (s *store) publish(stream string, first, last int) {
	s.Helper()
	entries, head := keys(nil, stream)
	for n := first; n <= last; n++ {
		s.epochs++
		err := s.script.Run(s.Context(), s.client, []string{entries, head}, stream, fmt.Sprint(n), 5, 60, fmt.Sprintf("%016x", s.epochs)).Err()
		if err != nil {
			s.Fatal(err)
		}
	}
}

// now waits until a Unix second in which the server has not started, and returns it.
func (s *store) now() (now int64) {
	s.Helper()
	patience.Eventually(s.T, "the server is older than a second", func() bool {
		at, _, err := s.history().readChunk(s.Context(), "", protocol.Position{})
		if err != nil {
			s.Fatal(err)
		}
		now = at.now
		return now > at.started+1 // both are rounded
	})
	return now
}

func (s *store) history() *History {
	h := New(Options{Redis: s.client, Bytes: 100})
	h.Keep([]Rule{{Pattern: "chat:*", Limit: 5, TTL: time.Minute}})
	return h
}

// expect reads a history and expects these payloads, or an error.
func (s *store) expect(want any, request protocol.History, streams ...string) {
	s.Helper()
	entries, _, err := s.history().Read(s.Context(), streams, request)
	if wanted, ok := want.(error); ok {
		if !errors.Is(err, wanted) {
			s.Errorf("%+v: got %v, %v, want %v", request, entries, err, wanted)
		}
		return
	}
	var got []string
	for _, entry := range entries {
		got = append(got, fmt.Sprintf("%s@%d", entry.Payload, entry.Position.Offset))
	}
	if all := strings.Join(got, " "); err != nil || all != want {
		s.Errorf("%+v: got %q, %v, want %q", request, all, err, want)
	}
}

func after(stream, epoch string, offset uint64) protocol.History {
	return protocol.History{Streams: map[string]protocol.Position{stream: {Epoch: epoch, Offset: offset}}}
}

const first = "0000000000000001" // the first epoch

func TestRead_ReturnsWhatFollowsAPosition(t *testing.T) {
	s := startStore(t)
	s.publish("chat:1", 1, 3)
	s.expect("2@2 3@3", after("chat:1", first, 1), "chat:1")
	s.expect("", after("chat:1", first, 3), "chat:1")
	s.expect("1@1 2@2 3@3", after("chat:1", first, 0), "chat:1")
	s.publish("chat:1", 4, 7) // 3 to 7 are kept
	s.expect("3@3 4@4 5@5 6@6 7@7", after("chat:1", first, 2), "chat:1")
}

func TestRead_RejectsWhatIsNotKept(t *testing.T) {
	s := startStore(t)
	s.publish("chat:1", 1, 7)
	s.expect(ErrIncomplete, after("chat:1", first, 1), "chat:1")
	s.expect(ErrUnknown, after("chat:1", first, 8), "chat:1")
	s.expect(ErrUnknown, after("chat:1", first, 1<<63), "chat:1")
	s.expect(ErrUnknown, after("chat:1", "f", 7), "chat:1")
	s.expect(ErrUnknown, after("chat:1", "", 7), "chat:1")
	s.expect(ErrUnknown, after("chat:2", first, 1), "chat:2")
	s.expect(ErrNone, after("other", first, 1), "other")
	s.expect("", after("elsewhere", first, 1), "chat:1", "other") // the caller reports the foreign stream
	entries, _ := keys(nil, "chat:1")
	s.client.Del(t.Context(), entries)
	s.expect(ErrIncomplete, after("chat:1", first, 6), "chat:1")
	s.expect("", after("chat:1", first, 7), "chat:1")
}

func TestRead_SinceATime(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	now := s.now()
	since := func(second int64) protocol.History { return protocol.History{Since: second} }
	s.expect("", since(now), "chat:1")
	s.publish("chat:1", 1, 3)
	s.expect("1@1 2@2 3@3", since(now), "chat:1")
	s.expect("", since(now+60), "chat:1")
	s.expect(ErrIncomplete, since(now-3600), "chat:1")
	s.expect(ErrIncomplete, since(now-4), "chat:1") // before the server has started
	s.expect(ErrIncomplete, since(now-4), "chat:2")
	s.publish("chat:1", 4, 7)
	s.expect(ErrIncomplete, since(now), "chat:1") // 1 and 2 are not kept
}

// A failover may have lost what was broadcast before it.
func TestRead_RejectsATimeBeforeAFailover(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	now := s.now()
	s.publish("chat:1", 1, 3)
	_, head := keys(nil, "chat:1")
	s.client.HSet(t.Context(), head, "began", now)
	s.expect(ErrIncomplete, protocol.History{Since: now}, "chat:1") // it may have been in this second
	s.client.HSet(t.Context(), head, "began", now-1)
	s.expect("1@1 2@2 3@3", protocol.History{Since: now}, "chat:1")
	s.expect("3@3", after("chat:1", first, 2), "chat:1")
}

func TestRead_ReturnsThePositionsThatItHasReached(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	now := s.now()
	s.publish("chat:1", 1, 3)
	s.publish("chat:2", 1, 1)
	request := after("chat:1", first, 3)
	request.Since = now
	_, reached, err := s.history().Read(t.Context(), []string{"chat:1", "chat:2", "chat:3", "other"}, request)
	if err != nil || len(reached) != 2 || reached["chat:1"].Offset != 3 || reached["chat:2"] != (protocol.Position{Epoch: "0000000000000004", Offset: 1}) {
		t.Errorf("got %v, %v", reached, err)
	}
}

func TestRead_ReadsInChunksAndStopsAtItsBound(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	entries, head := keys(nil, "chat:1")
	publish := func(from, to int) {
		for n := from; n <= to; n++ {
			err := s.script.Run(t.Context(), s.client, []string{entries, head}, "chat:1", "x", 1000, 60, first).Err()
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	since := protocol.History{Since: s.now()}
	for _, total := range []int{chunk, 2*chunk + 1, 100} {
		latest, _ := s.client.HGet(t.Context(), head, "offset").Int()
		publish(latest+1, total)
		for _, request := range []protocol.History{after("chat:1", first, 0), since} {
			read, _, err := s.history().Read(t.Context(), []string{"chat:1"}, request)
			if err != nil || len(read) != total || read[total-1].Position.Offset != uint64(total) {
				t.Errorf("%d: got %d, %v", total, len(read), err)
			}
		}
	}
	publish(101, 101)
	s.expect(ErrTooLong, after("chat:1", first, 0), "chat:1")
	s.expect(ErrTooLong, since, "chat:1")
}

// A failover may lose what browsers have received, and its offsets are used again.
func TestRead_RejectsThePositionsOfAnotherServer(t *testing.T) {
	t.Parallel()
	s := startStore(t)
	now := s.now()
	s.publish("chat:1", 1, 3)
	_, head := keys(nil, "chat:1")
	s.client.HSet(t.Context(), head, "server", "another")
	for _, offset := range []uint64{2, 3} { // 4 may be lost
		s.expect(ErrIncomplete, after("chat:1", first, offset), "chat:1")
	}
	s.expect(ErrIncomplete, protocol.History{Since: now}, "chat:1")
	s.publish("chat:1", 4, 7)
	s.expect(ErrUnknown, after("chat:1", first, 3), "chat:1")
	s.expect("6@3 7@4", after("chat:1", "0000000000000004", 2), "chat:1")
	s.client.FlushAll(t.Context())
	s.expect(ErrUnknown, after("chat:1", "0000000000000004", 2), "chat:1")
}

func TestRead_IsBounded(t *testing.T) {
	s := startStore(t)
	entries, head := keys(nil, "chat:1")
	err := s.script.Run(t.Context(), s.client, []string{entries, head}, "chat:1", strings.Repeat("1", 101), 5, 60, first).Err()
	if err != nil {
		t.Fatal(err)
	}
	s.expect(ErrTooLong, after("chat:1", first, 0), "chat:1")
	h := s.history()
	for range readsAtOnce {
		h.reads <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := h.Read(ctx, []string{"chat:1"}, after("chat:1", first, 1)); !errors.Is(err, ErrUnavailable) {
		t.Error(err)
	}
}

func TestNumber_IsTheScripts(t *testing.T) {
	s := startStore(t)
	listening := s.client.Subscribe(t.Context(), "chat:1")
	defer listening.Close()
	if _, err := listening.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.publish("chat:1", 8, 9)
	for n := range 2 {
		message, err := listening.ReceiveMessage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		payload, position := CutNumber([]byte(message.Payload))
		if string(payload) != fmt.Sprint(8+n) || position != (protocol.Position{Epoch: first, Offset: uint64(n + 1)}) {
			t.Errorf("got %q at %+v", payload, position)
		}
	}
}

func TestMatches_OnlyTheStarIsSpecial(t *testing.T) {
	patterns := []string{"chat:*", "exact", "*:new:*", "a*b*c"}
	kept := []string{"chat:", "chat:1", "chat:\n1", "exact", "a:new:b", ":new:", "abc", "a1b2bc"}
	others := []string{"chat", "exactly", "a:new", "Chat:1", "", "ab", "acb", "?"}
	for _, name := range slices.Concat(kept, others) {
		got := slices.ContainsFunc(patterns, func(pattern string) bool { return matches(pattern, name) })
		if got != slices.Contains(kept, name) {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func FuzzCutNumber(f *testing.F) {
	f.Add([]byte("{}" + numberHead + strings.Repeat(" \t", 32)))
	f.Fuzz(func(t *testing.T, payload []byte) {
		rest, position := CutNumber(payload)
		cut := string(payload[len(rest):])
		if strings.Trim(cut, protocol.TrailerDigits) != "" || string(rest) != string(payload[:len(rest)]) || cut == "" && position.Epoch != "" {
			t.Errorf("%q: cut off %q", payload, cut)
		}
	})
}
