package broadcast

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// source is hub.Source with Publish.
type source interface {
	Run(ctx context.Context, deliver func(stream string, payload []byte)) error
	Subscribe(stream string, acknowledged func())
	Unsubscribe(stream string)
	Publish(ctx context.Context, stream string, payload []byte) error
	Ready() error
}

var _ source = (*Redis)(nil)

// waitTime bounds every expectation. Only a failing test waits that long.
const waitTime = time.Minute

// receiver runs a source and keeps what it delivers.
type receiver struct {
	t        *testing.T
	source   source
	received chan broadcast
}

type broadcast struct {
	stream, payload string
}

func receive(t *testing.T, s source) *receiver {
	t.Helper()
	h := &receiver{t: t, source: s, received: make(chan broadcast, 200_000)}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Run(ctx, func(stream string, payload []byte) { h.received <- broadcast{stream, string(payload)} })
	}()
	t.Cleanup(func() {
		stop()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run ended with %v", err)
			}
		case <-time.After(waitTime):
			t.Error("Run did not end with its context")
		}
	})
	return h
}

// subscribe waits for the acknowledgement.
func (h *receiver) subscribe(streams ...string) {
	h.t.Helper()
	for _, done := range h.request(streams...) {
		within(h.t, "the acknowledgement", done)
	}
}

// request subscribes without waiting.
func (h *receiver) request(streams ...string) (done []chan struct{}) {
	for _, stream := range streams {
		acknowledged := make(chan struct{})
		h.source.Subscribe(stream, func() { close(acknowledged) })
		done = append(done, acknowledged)
	}
	return done
}

func (h *receiver) expect(stream, payload string) {
	h.t.Helper()
	select {
	case got := <-h.received:
		if got != (broadcast{stream, payload}) {
			h.t.Fatalf("received %.100q on %q, want %.100q on %q", got.payload, got.stream, payload, stream)
		}
	case <-time.After(waitTime):
		h.t.Fatalf("did not receive %.100q on %q; ready: %v", payload, stream, h.source.Ready())
	}
}

func (h *receiver) expectReady() {
	h.t.Helper()
	eventually(h.t, "the source is ready", func() bool { return h.source.Ready() == nil })
}

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(waitTime):
		t.Fatalf("%s: timed out after %s", what, waitTime)
	}
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(waitTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("timed out waiting until %s", what)
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func ptr[T any](v T) *T { return &v }

// redisServer is a real redis-server on a free port.
type redisServer struct {
	t    testing.TB
	port int
	args []string
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	s := &redisServer{t: t, port: freePort(t), args: args, dir: t.TempDir()}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func (s *redisServer) address() string { return "127.0.0.1:" + strconv.Itoa(s.port) }
func (s *redisServer) url() string     { return "redis://" + s.address() }

func (s *redisServer) start() {
	s.t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		s.t.Fatal("these tests need redis-server in PATH (Debian: apt install redis-server)")
	}
	args := append([]string{"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
		"--dir", s.dir, "--unixsocket", filepath.Join(s.dir, "redis.sock")}, s.args...)
	s.launch(path, args)
}

func (s *redisServer) launch(path string, args []string) {
	s.t.Helper()
	s.cmd = exec.Command(path, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	for end := time.Now().Add(waitTime); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if conn, err := net.Dial("tcp", s.address()); err == nil {
			_ = conn.Close()
			return
		}
	}
	s.t.Fatal("redis-server did not open its port")
}

func (s *redisServer) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
	s.cmd = nil
}

func (s *redisServer) freeze() { _ = s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *redisServer) thaw()   { _ = s.cmd.Process.Signal(syscall.SIGCONT) }

// client publishes as Rails does.
func client(t testing.TB, address string) *redis.Client {
	c := redis.NewClient(&redis.Options{Addr: address, Protocol: 2, DisableIdentity: true})
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func publish(t testing.TB, c *redis.Client, topic, payload string) {
	t.Helper()
	if err := c.Publish(context.Background(), topic, payload).Err(); err != nil {
		t.Fatalf("publishing: %v", err)
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

func writeFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// proxy is an address that can be moved to another server: new connections go to target, existing
// ones stay.
type proxy struct {
	net.Listener
	target atomic.Pointer[string]
}

func (p *proxy) String() string { return p.Addr().String() }

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{Listener: listener}
	p.target.Store(&target)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", *p.target.Load())
			if err != nil {
				_ = near.Close()
				continue
			}
			join := func(to, from net.Conn) {
				_, _ = io.Copy(to, from)
				_ = to.Close()
			}
			go join(near, far)
			go join(far, near)
		}
	}()
	return p
}
