package broadcast

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tidwall/redcon"
)

func TestEmbedded_ListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:6390", ":6390", "10.0.0.1:6390", "example.com:6390", "6390", "[::]:6390"} {
		if _, err := NewEmbedded(EmbeddedOptions{Address: address}, quiet()); err == nil {
			t.Errorf("%s was accepted", address)
		}
	}
	for _, address := range []string{"", "127.0.0.1:0", "[::1]:0", "localhost:0"} {
		if _, err := NewEmbedded(EmbeddedOptions{Address: address}, quiet()); err != nil {
			t.Errorf("%q was refused: %v", address, err)
		}
	}
}

func TestEmbedded_SaysWhichPortIsTaken(t *testing.T) {
	taken := startRedis(t)
	s, err := NewEmbedded(EmbeddedOptions{Address: taken.address()}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run(context.Background(), nil)
	if err == nil || !strings.Contains(err.Error(), taken.address()) || !strings.Contains(err.Error(), "another port") {
		t.Fatalf("the error is %v", err)
	}
}

func TestEmbedded_ServesGoRedisInBothProtocols(t *testing.T) {
	for _, protocol := range []int{2, 3} {
		t.Run(fmt.Sprintf("RESP%d", protocol), func(t *testing.T) {
			s := newEmbedded(t, EmbeddedOptions{ChannelPrefix: ptr("app"), Password: "s3cret"})
			h := hear(t, s)
			h.subscribe("room")
			ctx := context.Background()
			c := redis.NewClient(&redis.Options{Addr: s.Address(), Protocol: protocol, Password: "s3cret", ClientName: "puma", DB: 1})
			defer c.Close()
			puma := c.Subscribe(ctx, "app:room", "app:other")
			defer puma.Close()
			patterns := c.PSubscribe(ctx, "app:r*")
			defer patterns.Close()
			for _, subscription := range []*redis.PubSub{puma, puma, patterns} {
				if _, err := subscription.ReceiveTimeout(ctx, waitTime); err != nil {
					t.Fatal(err)
				}
			}
			n, err := c.Publish(ctx, "app:room", "1").Result()
			if err != nil || n != 3 {
				t.Fatalf("PUBLISH was heard by %d (%v), want catenary, the subscriber and the pattern", n, err)
			}
			h.expect("room", "1")
			if err := s.Publish(ctx, "room", []byte("2")); err != nil {
				t.Fatal(err)
			}
			h.expect("room", "2")
			for _, want := range []string{"1", "2"} {
				for _, subscription := range []*redis.PubSub{puma, patterns} {
					got, err := subscription.ReceiveMessage(ctx)
					if err != nil || got.Channel != "app:room" || got.Payload != want {
						t.Fatalf("a subscriber heard %v (%v), want %s", got, err, want)
					}
				}
			}
			if err := puma.Ping(ctx, "hi"); err != nil {
				t.Fatal(err)
			}
			if got, err := puma.ReceiveTimeout(ctx, waitTime); err != nil || got.(*redis.Pong).Payload != "hi" {
				t.Fatalf("PING of a subscriber was answered with %v (%v)", got, err)
			}
			if err := puma.Unsubscribe(ctx); err != nil {
				t.Fatal(err)
			}
			eventually(t, "UNSUBSCRIBE without names ends all", func() bool {
				topics, err := c.PubSubChannels(ctx, "app:*").Result()
				return err == nil && fmt.Sprint(topics) == "[app:room]"
			})
			counts, err := c.PubSubNumSub(ctx, "app:room", "none").Result()
			if err != nil || counts["app:room"] != 1 || counts["none"] != 0 {
				t.Fatalf("NUMSUB says %v (%v)", counts, err)
			}
			if n, err := c.PubSubNumPat(ctx).Result(); err != nil || n != 1 {
				t.Fatalf("NUMPAT says %d (%v)", n, err)
			}
			if name, err := c.ClientGetName(ctx).Result(); err != nil || name != "puma" {
				t.Fatalf("CLIENT GETNAME says %q (%v)", name, err)
			}
			if err := c.Get(ctx, "key").Err(); err == nil || !strings.Contains(err.Error(), "not a Redis") {
				t.Fatalf("GET was answered with %v", err)
			}
			if _, err := c.ConfigGet(ctx, "*").Result(); err != nil {
				t.Fatalf("CONFIG GET: %v", err)
			}
		})
	}
}

func TestEmbedded_AsksForThePassword(t *testing.T) {
	s := newEmbedded(t, EmbeddedOptions{Password: "s3cret"})
	hear(t, s)
	for _, protocol := range []int{2, 3} {
		for password, want := range map[string]string{"": "NOAUTH", "wrong": "WRONGPASS"} {
			c := redis.NewClient(&redis.Options{Addr: s.Address(), Protocol: protocol, Password: password, MaxRetries: -1})
			err := c.Publish(context.Background(), "s", "1").Err()
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("password %q: %v, want %s", password, err, want)
			}
			_ = c.Close()
		}
	}
}

func TestEmbedded_LetsRedisCliLookInside(t *testing.T) {
	cli, err := exec.LookPath("redis-cli")
	if err != nil {
		t.Fatal("these tests need redis-cli in PATH (Debian: apt install redis-tools)")
	}
	s := newEmbedded(t, EmbeddedOptions{ChannelPrefix: ptr("app")})
	h := hear(t, s)
	h.subscribe("room")
	_, port, _ := net.SplitHostPort(s.Address())
	run := func(args ...string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), waitTime)
		defer cancel()
		out, err := exec.CommandContext(ctx, cli, append([]string{"-p", port}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("redis-cli %q: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for _, c := range []struct{ args, want string }{
		{"PING", "PONG"}, {"PUBSUB CHANNELS", "app:room"}, {"-3 PUBSUB CHANNELS", "app:room"},
		{"PUBLISH app:room 1", "1"}, {"PUBLISH app:none 1", "0"}, {"ECHO hi", "hi"}, {"-n 3 PING", "PONG"},
		{"PUBSUB NUMSUB app:room", "app:room\n1"}, {"COMMAND COUNT", "0"}, {"INFO", "server_name:catenary"},
		{"CLIENT LIST", "addr=127.0.0.1"}, {"SET a b", "not a Redis"}, {"PUBLISH a", "wrong number of arguments"},
		{"HELLO 4", "NOPROTO"}, {"RESET", "RESET"}, {"CLIENT SETINFO lib-name x", "OK"},
	} {
		if got := run(strings.Fields(c.args)...); !strings.Contains(got, c.want) {
			t.Errorf("redis-cli %s says %q, want %q", c.args, got, c.want)
		}
	}
	h.expect("room", "1")
}

func TestEmbedded_ServesRailsOwnRedisAdapter(t *testing.T) {
	ruby, err := exec.LookPath("ruby")
	if err != nil {
		t.Fatal("this test needs ruby with rails and redis (Debian: apt install ruby-rails ruby-redis)")
	}
	s := newEmbedded(t, EmbeddedOptions{ChannelPrefix: ptr("app"), Password: "s3cret"})
	h := hear(t, s)
	h.subscribe("room")
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	rails := exec.CommandContext(ctx, ruby, "testdata/rails.rb", "redis://:s3cret@"+s.Address()+"/1")
	var complaints strings.Builder
	rails.Stderr = &complaints
	stdout, err := rails.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := rails.Start(); err != nil {
		t.Fatal(err)
	}
	says := bufio.NewReader(stdout)
	line := func() string {
		t.Helper()
		text, err := says.ReadString('\n')
		if err != nil {
			_ = rails.Wait()
			t.Fatalf("Rails ended: %v: %s", err, complaints.String())
		}
		return strings.TrimSuffix(text, "\n")
	}
	if got := line(); got != "subscribed" {
		t.Fatalf("Rails says %q", got)
	}
	h.expect("room", `{"a":1,"h":"\u003cb\u003eé\u0026","f":1.0}`)
	h.expect("room", "null")
	if err := s.Publish(ctx, "news", []byte(`{"from":"catenary"}`)); err != nil {
		t.Fatal(err)
	}
	if got := line(); got != `{"from":"catenary"}` {
		t.Fatalf("Rails heard %q", got)
	}
	if err := rails.Wait(); err != nil {
		t.Fatalf("Rails ended with %v: %s", err, complaints.String())
	}
}

func TestEmbedded_BoundsWhatClientsMayDo(t *testing.T) {
	s := newEmbedded(t, EmbeddedOptions{MaxClients: 2, MaxMessage: 1 << 20, MaxPending: 1 << 20})
	h := hear(t, s)
	h.subscribe("s")
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", s.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(waitTime))
		return conn
	}
	alone := func() {
		t.Helper()
		eventually(t, "the others have left", func() bool { s.mu.RLock(); defer s.mu.RUnlock(); return len(s.clients) == 0 })
	}

	t.Run("clients", func(t *testing.T) {
		first, second := dial(), dial()
		for _, conn := range []net.Conn{first, second} {
			_, _ = conn.Write([]byte("PING\r\n"))
			expectLine(t, conn, "+PONG")
		}
		expectLine(t, dial(), "-ERR max number of clients reached")
		_, _ = first.Write([]byte("QUIT\r\n"))
		expectLine(t, first, "+OK")
		_ = second.Close()
		alone()
	})
	t.Run("the size of a message", func(t *testing.T) {
		conn := dial()
		go func() {
			_, _ = conn.Write([]byte("*3\r\n$7\r\nPUBLISH\r\n$1\r\ns\r\n$3000000\r\n" + strings.Repeat("x", 3000000)))
		}()
		expectLine(t, conn, "-ERR Protocol error: a command larger than 1048576 bytes")
		_ = conn.Close()
		alone()
	})
	t.Run("lengths that overflow", func(t *testing.T) {
		conn := dial()
		_, _ = conn.Write([]byte("*1\r\n$9223372036854775807\r\nPING\r\n"))
		if got, _ := io.ReadAll(conn); strings.Contains(string(got), "PONG") {
			t.Fatalf("answered with %q", got)
		}
		alone()
	})
	t.Run("browsers", func(t *testing.T) {
		conn := dial()
		_, _ = conn.Write([]byte("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nPUBLISH s evil\r\n"))
		if got, _ := io.ReadAll(conn); len(got) != 0 {
			t.Fatalf("answered with %q", got)
		}
		alone()
	})
	t.Run("a subscriber that does not read", func(t *testing.T) {
		slow := dial()
		_, _ = slow.Write([]byte("SUBSCRIBE s\r\n"))
		eventually(t, "it is subscribed", func() bool { s.mu.RLock(); defer s.mu.RUnlock(); return len(s.topics["s"]) == 1 })
		payload := make([]byte, 500_000)
		eventually(t, "it is cut off", func() bool {
			if err := s.Publish(context.Background(), "s", payload); err != nil {
				t.Fatal(err)
			}
			s.mu.RLock()
			defer s.mu.RUnlock()
			return len(s.topics["s"]) == 0
		})
		alone()
	})
	publish(t, client(t, s.Address()), "s", "still here")
	for got := range h.heard {
		if got.payload == "still here" {
			break
		}
		if len(got.payload) != 500_000 {
			t.Fatalf("heard %.100q", got.payload)
		}
	}
}

// Many short broadcasts may wait for delivery, and one long one.
func TestEmbedded_HasPublishersOfLongBroadcastsWait(t *testing.T) {
	s := newEmbedded(t, EmbeddedOptions{})
	release, ended := make(chan bool), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- s.Run(ctx, func(string, []byte) { <-release }) }()
	s.Subscribe("s", func() {})
	eventually(t, "it is ready", func() bool { return s.Ready() == nil })
	for range 10 {
		if err := s.Publish(ctx, "s", []byte("1")); err != nil {
			t.Fatal(err)
		}
	}
	var published atomic.Int64
	for range 3 {
		go func() {
			if s.Publish(ctx, "s", make([]byte, longArrival+1)) == nil {
				published.Add(1)
			}
		}()
	}
	for n := range 13 {
		if got := published.Load(); got > int64(max(n-10, 0)) {
			t.Fatalf("%d long ones are published, and %d delivered", got, n)
		}
		release <- true
	}
	eventually(t, "all are published", func() bool { return published.Load() == 3 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func expectLine(t *testing.T, conn net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want)+2)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != want+"\r\n" {
		t.Fatalf("answered with %q (%v), want %q", got, err, want)
	}
}

func TestEmbedded_LetsPublishersWaitWhileDeliverIsBusy(t *testing.T) {
	s := newEmbedded(t, EmbeddedOptions{})
	ctx, stop := context.WithCancel(context.Background())
	busy, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(string, []byte) { <-busy }) }()
	s.Subscribe("s", func() {})
	err := error(nil)
	for range waitingArrivals + 2 {
		waiting, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		err = s.Publish(waiting, "s", []byte("1"))
		cancel()
	}
	if err == nil || !strings.Contains(err.Error(), "too slowly") {
		t.Fatalf("publishing beyond what may wait ended with %v", err)
	}
	if _, err := net.Dial("tcp", s.Address()); err != nil {
		t.Fatal(err)
	}
	close(busy)
	stop()
	<-ended
}

// FuzzEmbedded feeds what redcon can parse to the commands, without the
// recovery that serve has.
func FuzzEmbedded(f *testing.F) {
	for _, seed := range []string{"PUBLISH s 1\r\n", "SUBSCRIBE a b\r\nPING\r\nUNSUBSCRIBE\r\nRESET\r\n", "HELLO 3 AUTH a b SETNAME c\r\n",
		"PSUBSCRIBE a*\r\nPUBLISH ab c\r\n", "PUBSUB NUMSUB\r\nPUBSUB CHANNELS *\r\nPUBSUB\r\n", "CLIENT LIST\r\nCLIENT\r\nCONFIG\r\nINFO\r\n"} {
		f.Add([]byte(seed))
	}
	s, err := NewEmbedded(EmbeddedOptions{}, quiet())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		commands, ok := parseAll(input)
		if !ok {
			return
		}
		near, far := net.Pipe()
		drained := make(chan struct{})
		go func() { _, _ = io.Copy(io.Discard, far); close(drained) }()
		c := newRESPClient(s, near, 1)
		for _, command := range commands {
			if len(command.Args) > 0 {
				c.execute(command.Args)
			}
		}
		_ = c.flush()
		c.leave()
		<-drained
		_ = far.Close()
		if len(s.topics)+len(s.patterns) != 0 {
			t.Fatal("a client that left is still subscribed")
		}
	})
}

func parseAll(input []byte) (commands []redcon.Command, ok bool) {
	defer func() { ok = recover() == nil }()
	reader := redcon.NewReader(bytes.NewReader(input))
	for {
		command, err := reader.ReadCommand()
		if err != nil {
			return commands, true
		}
		commands = append(commands, command)
	}
}
