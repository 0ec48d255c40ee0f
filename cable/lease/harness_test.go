package lease

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable()
	goleak.VerifyTestMain(m)
}

const (
	ttl      = 1500 * time.Millisecond
	secret   = "a secret that all nodes have"
	patience = 30 * time.Second // only a failing test waits this long
)

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("timed out waiting until %s", what)
}

// redisServer is a real redis-server on a Unix socket.
type redisServer struct {
	t      testing.TB
	path   string
	client *redis.Client
	cmd    *exec.Cmd
}

func startRedis(t testing.TB) *redisServer {
	s := &redisServer{t: t, path: t.TempDir() + "/redis.sock"}
	s.client = redis.NewClient(&redis.Options{Network: "unix", Addr: s.path, Protocol: 2, DisableIdentity: true})
	s.up()
	t.Cleanup(func() {
		s.client.Close()
		s.down()
	})
	return s
}

func (s *redisServer) up() {
	s.cmd = exec.Command("redis-server", "--port", "0", "--unixsocket", s.path, "--save", "", "--appendonly", "no")
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatalf("these tests need redis-server in PATH (Debian: apt install redis-server): %v", err)
	}
	for end := time.Now().Add(patience); s.client.Ping(context.Background()).Err() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatal("redis-server does not answer")
		}
	}
}

func (s *redisServer) down() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *redisServer) keys() []string {
	keys, err := s.client.Keys(context.Background(), "*").Result()
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// node is a Lease whose connections the test opens and closes.
type node struct {
	*Lease
	t    *testing.T
	name string
	log  output
	stop func()

	mu       sync.Mutex
	cut      bool              // Redis is unreachable
	conns    []net.Conn        // to Redis
	text     map[string]string // records of its own connections
	closed   map[string]int    // how often it closed each connection of other nodes
	taken    []string          // argument of Taken; nil: not called
	closeErr error             // Close fails with it
}

type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (s *redisServer) node(t *testing.T, name string, changes ...func(*Options)) *node {
	n := &node{t: t, name: name, text: map[string]string{}, closed: map[string]int{}}
	o := Options{Node: name, Secret: secret, TTL: ttl, Log: slog.New(slog.NewTextHandler(&n.log, nil))}
	o.Redis = redis.NewClient(&redis.Options{
		Dialer: n.dialer(s.path), Protocol: 2, DisableIdentity: true,
		MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	})
	for _, change := range changes {
		change(&o)
	}
	n.Lease = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		n.Run(ctx, n)
		close(done)
	}()
	n.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(n.stop)
	return n
}

func (n *node) dialer(path string) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.cut {
			return nil, errors.New("cut off by the test")
		}
		conn, err := net.Dial("unix", path)
		if err == nil {
			n.conns = append(n.conns, conn)
		}
		return conn, err
	}
}

// cutOff separates the node from Redis, as a kill or a broken network would, or reconnects it.
func (n *node) cutOff(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	for _, conn := range n.conns {
		conn.Close()
	}
	n.conns = nil
}

func (n *node) open(connections ...string) {
	for _, connection := range connections {
		n.mu.Lock()
		n.text[connection] = "cookie of " + connection
		n.mu.Unlock()
		n.Changed(connection)
	}
}

func (n *node) disconnect(connection string) {
	n.mu.Lock()
	delete(n.text, connection)
	n.mu.Unlock()
	n.Changed(connection)
}

// waitForRecords waits until Redis has that number of records of the node.
func (n *node) waitForRecords(s *redisServer, records int) {
	n.t.Helper()
	eventually(n.t, fmt.Sprintf("%s has %d records in Redis", n.name, records), func() bool {
		return s.client.HLen(context.Background(), n.keys.connections(n.name)).Val() == int64(records) && n.Stats().Held
	})
}

func (n *node) Record(dst []byte, connection string) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	if text, ok := n.text[connection]; ok {
		return append(dst, text...)
	}
	return nil
}

func (n *node) Close(_ context.Context, records []Record) (closed []string, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closeErr != nil {
		return nil, n.closeErr
	}
	for _, record := range records {
		if string(record.Text) != "cookie of "+record.Connection {
			n.t.Errorf("the record of %s is %q", record.Connection, record.Text)
		}
		n.closed[record.Connection]++
		closed = append(closed, record.Connection)
	}
	return closed, nil
}

func (n *node) Taken(connections []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.taken = append([]string{}, connections...)
	slices.Sort(n.taken)
}

// closedSoFar returns how many connections of other nodes this one has closed, and the most closes
// of a single one.
func (n *node) closedSoFar() (most, connections int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, times := range n.closed {
		most = max(most, times)
	}
	return most, len(n.closed)
}

func (n *node) takenOver() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.taken
}

func numbered(name string, n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("%s:%03d", name, i))
	}
	return names
}

func (o *output) count(words string) int { return strings.Count(o.String(), words) }

// clientOf connects as a Redis user.
func (s *redisServer) clientOf(user string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Network: "unix", Addr: s.path, Protocol: 2, DisableIdentity: true, MaxRetries: -1,
		Username: user, Password: "any",
	})
}
