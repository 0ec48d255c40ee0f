package broadcast

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// gaps counts the gaps that a source reports.
type gaps struct {
	mu       sync.Mutex
	lost     int
	restored []time.Duration
}

func (g *gaps) watch(o *RedisOptions) {
	o.Lost = func(error) { g.mu.Lock(); g.lost++; g.mu.Unlock() }
	o.Restored = func(gap time.Duration) { g.mu.Lock(); g.restored = append(g.restored, gap); g.mu.Unlock() }
}

func (g *gaps) count() (lost, restored int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lost, len(g.restored)
}

func newRedis(t testing.TB, o RedisOptions) *Redis {
	t.Helper()
	r, err := NewRedis(o, quiet())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRedis_ResubscribesAfterItsConnectionIsKilled(t *testing.T) {
	server := startRedis(t)
	var seen gaps
	options := RedisOptions{URL: server.url()}
	seen.watch(&options)
	h, rails := receive(t, newRedis(t, options)), client(t, server.address())
	h.subscribe("a", "b")
	h.source.Unsubscribe("b")
	if err := rails.Do(context.Background(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gap is over", func() bool { _, restored := seen.count(); return restored == 1 })
	publish(t, rails, "b", "not wanted")
	publish(t, rails, "a", "1")
	h.expect("a", "1")
	h.subscribe("c")
	publish(t, rails, "c", "2")
	h.expect("c", "2")
	if lost, restored := seen.count(); lost != 1 || restored != 1 {
		t.Fatalf("lost %d times and restored %d times, want once each", lost, restored)
	}
}

func TestRedis_ConfirmsStreamsAfterAnOutage(t *testing.T) {
	server := startRedis(t)
	var seen gaps
	options := RedisOptions{URL: server.url(), ChannelPrefix: ptr("app")}
	seen.watch(&options)
	h := receive(t, newRedis(t, options))
	h.subscribe("before")
	server.kill()
	eventually(t, "the source is not ready", func() bool { return h.source.Ready() != nil })
	during := h.request("before", "during")
	h.source.Subscribe("regretted", func() { t.Error("acknowledged a stream that was left") })
	h.source.Unsubscribe("regretted")
	time.Sleep(500 * time.Millisecond)
	for _, acknowledged := range during {
		select {
		case <-acknowledged:
			t.Fatal("acknowledged a stream while Redis was down")
		default:
		}
	}
	server.start()
	for _, acknowledged := range during {
		within(t, "the acknowledgement", acknowledged)
	}
	rails := client(t, server.address())
	for _, stream := range []string{"before", "during"} {
		publish(t, rails, "app:"+stream, stream)
		h.expect(stream, stream)
	}
	h.expectReady()
	if lost, restored := seen.count(); lost != 1 || restored != 1 || seen.restored[0] < 500*time.Millisecond {
		t.Fatalf("lost %d times, restored after %v; want once, after more than 0.5 s", lost, seen.restored)
	}
}

func TestRedis_StartsWithoutRedis(t *testing.T) {
	server := startRedis(t)
	server.kill()
	h := receive(t, newRedis(t, RedisOptions{URL: server.url()}))
	waiting := h.request("s")
	eventually(t, "Ready says that the connection is refused", func() bool {
		err := h.source.Ready()
		return err != nil && strings.Contains(err.Error(), "refused")
	})
	server.start()
	within(t, "the acknowledgement", waiting[0])
	h.expectReady()
}

func TestRedis_ConfirmsWhenRedisAcknowledges(t *testing.T) {
	server := startRedis(t)
	h, rails := receive(t, newRedis(t, RedisOptions{URL: server.url()})), client(t, server.address())
	h.subscribe("s")
	if err := rails.Do(context.Background(), "CLIENT", "PAUSE", 1000).Err(); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	waiters := h.request("new", "new")
	for _, acknowledged := range waiters {
		within(t, "the acknowledgement", acknowledged)
		if waited := time.Since(begin); waited < 900*time.Millisecond {
			t.Fatalf("acknowledged %s after Redis was paused for a second", waited)
		}
	}
	publish(t, rails, "new", "1")
	h.expect("new", "1")
}

func TestRedis_LeavesAFrozenServer(t *testing.T) {
	server := startRedis(t)
	var seen gaps
	options := RedisOptions{URL: server.url(), Timeout: time.Second,
		ProbeEvery: 50 * time.Millisecond, ProbeDeadline: 200 * time.Millisecond}
	seen.watch(&options)
	h := receive(t, newRedis(t, options))
	h.subscribe("s")
	h.expectReady()
	server.freeze()
	defer server.thaw()
	eventually(t, "the loss is noticed", func() bool { lost, _ := seen.count(); return lost == 1 })
	if h.source.Ready() == nil {
		t.Fatal("ready while Redis is frozen")
	}
	server.thaw()
	h.expectReady()
	publish(t, client(t, server.address()), "s", "1")
	h.expect("s", "1")
}

// TestRedis_LeavesAConnectionThatBroadcastsNoLongerReach: the connection works, but publishers are
// on another server, as a failover behind one address can cause.
func TestRedis_LeavesAConnectionThatBroadcastsNoLongerReach(t *testing.T) {
	before, after := startRedis(t), startRedis(t)
	address := startProxy(t, before.address())
	var seen gaps
	options := RedisOptions{URL: "redis://" + address.String(), ProbeEvery: 50 * time.Millisecond, ProbeDeadline: 200 * time.Millisecond}
	seen.watch(&options)
	h := receive(t, newRedis(t, options))
	h.subscribe("s")
	h.expectReady()
	address.target.Store(ptr(after.address()))
	if err := client(t, before.address()).ClientKillByFilter(context.Background(), "TYPE", "normal").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gap is over", func() bool { _, restored := seen.count(); return restored == 1 })
	publish(t, client(t, after.address()), "s", "1")
	h.expect("s", "1")
}

func TestRedis_KeepsItsConnectionWhileDeliverIsSlow(t *testing.T) {
	server := startRedis(t)
	var seen gaps
	options := RedisOptions{URL: server.url(), ProbeEvery: 20 * time.Millisecond, ProbeDeadline: 60 * time.Millisecond}
	seen.watch(&options)
	r := newRedis(t, options)
	ctx, stop := context.WithCancel(context.Background())
	received := make(chan string)
	ended := make(chan error, 1)
	go func() {
		ended <- r.Run(ctx, func(_ string, payload []byte) {
			time.Sleep(300 * time.Millisecond)
			received <- string(payload)
		})
	}()
	acknowledged := make(chan struct{})
	r.Subscribe("s", func() { close(acknowledged) })
	within(t, "the acknowledgement", acknowledged)
	rails := client(t, server.address())
	for i := range 5 {
		publish(t, rails, "s", fmt.Sprint(i))
	}
	for i := range 5 {
		if got := <-received; got != fmt.Sprint(i) {
			t.Fatalf("received %q, want %d", got, i)
		}
	}
	stop()
	<-ended
	if lost, _ := seen.count(); lost != 0 {
		t.Fatalf("the connection was lost %d times", lost)
	}
}

func TestRedis_DropsABroadcastAboveTheLimit(t *testing.T) {
	server := startRedis(t)
	h, rails := receive(t, newRedis(t, RedisOptions{URL: server.url(), MaxPayload: 1000})), client(t, server.address())
	h.subscribe("s")
	publish(t, rails, "s", strings.Repeat("x", 200_000))
	publish(t, rails, "s", strings.Repeat("y", 1000))
	h.expect("s", strings.Repeat("y", 1000))
}

func TestRedis_DeliversAllowedStreamsWhenOneIsDenied(t *testing.T) {
	server := startRedis(t)
	rails := client(t, server.address())
	if err := rails.Do(context.Background(), "ACL", "SETUSER", "cable", "on", ">s3cret", "+@all", "&app:ok*").Err(); err != nil {
		t.Fatal(err)
	}
	options := RedisOptions{URL: "redis://cable:s3cret@" + server.address(), ChannelPrefix: ptr("app"),
		ProbeEvery: 50 * time.Millisecond, ProbeDeadline: 200 * time.Millisecond}
	var seen gaps
	seen.watch(&options)
	r := newRedis(t, options)
	var ok []chan struct{}
	r.Subscribe("forbidden", func() { t.Error("acknowledged a forbidden stream") })
	for i := range 20 {
		acknowledged := make(chan struct{})
		ok = append(ok, acknowledged)
		r.Subscribe(fmt.Sprintf("ok%d", i), func() { close(acknowledged) })
	}
	h := receive(t, r)
	for _, acknowledged := range ok {
		within(t, "the acknowledgement", acknowledged)
	}
	h.expectReady()
	time.Sleep(300 * time.Millisecond) // a few probes with PING
	publish(t, rails, "app:ok19", "1")
	h.expect("ok19", "1")
	if lost, _ := seen.count(); lost != 0 {
		t.Fatalf("the connection was lost %d times", lost)
	}
}

func TestRedis_SurvivesAStormWhileItsConnectionIsKilled(t *testing.T) {
	server := startRedis(t)
	h, rails := receive(t, newRedis(t, RedisOptions{URL: server.url()})), client(t, server.address())
	var working sync.WaitGroup
	for worker := range 4 {
		working.Go(func() {
			for i := range 2000 {
				stream := fmt.Sprintf("w%d:%d", worker, i%100)
				if i%3 == 2 {
					h.source.Unsubscribe(stream)
				} else {
					h.source.Subscribe(stream, func() {})
				}
			}
		})
	}
	for range 5 {
		_ = rails.Do(context.Background(), "CLIENT", "KILL", "TYPE", "pubsub").Err()
		time.Sleep(20 * time.Millisecond)
	}
	working.Wait()
	for worker := range 4 {
		for i := range 100 {
			h.source.Unsubscribe(fmt.Sprintf("w%d:%d", worker, i))
		}
	}
	h.subscribe("last")
	publish(t, rails, "last", "1")
	h.expect("last", "1")
	eventually(t, "only the last stream and the probe's remain", func() bool {
		topics, err := rails.PubSubChannels(context.Background(), "*").Result()
		return err == nil && len(topics) == 2 && h.source.(*Redis).subscriptions.size() == 2
	})
}

func TestRedis_SubscribesToManyStreamsInFewCommands(t *testing.T) {
	server := startRedis(t)
	h, rails := receive(t, newRedis(t, RedisOptions{URL: server.url()})), client(t, server.address())
	h.expectReady()
	streams := make([]string, 10_000)
	for i := range streams {
		streams[i] = fmt.Sprintf("room:%d", i)
	}
	begin := time.Now()
	h.subscribe(streams...)
	took := time.Since(begin)
	stats, err := rails.Info(context.Background(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(stats, "cmdstat_subscribe:calls=")
	digits, _, _ := strings.Cut(after, ",")
	calls, err := strconv.Atoi(digits)
	if err != nil || calls > 500 {
		t.Fatalf("10,000 streams took %d SUBSCRIBE commands (%v)", calls, err)
	}
	t.Logf("10,000 streams: %s, %d SUBSCRIBE commands", took, calls)
}

func TestRedis_ConnectsInEveryWayThatCableYmlKnows(t *testing.T) {
	const password = "p@ss:w/rd"
	server := startRedis(t, "--requirepass", password)
	for name, options := range map[string]RedisOptions{
		"URL":            {URL: "redis://:p%40ss%3Aw%2Frd@" + server.address() + "/1?timeout=1"},
		"URL and fields": {URL: "redis://localhost:1/3", Host: "127.0.0.1", Port: server.port, Password: password},
		"fields":         {Host: "127.0.0.1", Port: server.port, Password: password, Username: "default", DB: ptr(2)},
		"socket":         {Path: filepath.Join(server.dir, "redis.sock"), Password: password},
		"socket URL":     {URL: "unix://" + filepath.Join(server.dir, "redis.sock"), Password: password},
		"client name":    {URL: server.url(), Password: password, ClientName: "catenary"},
	} {
		t.Run(name, func(t *testing.T) {
			h := receive(t, newRedis(t, options))
			h.subscribe("s")
			if err := h.source.Publish(context.Background(), "s", []byte("1")); err != nil {
				t.Fatal(err)
			}
			h.expect("s", "1")
		})
	}
}

func TestRedis_SpeaksTLS(t *testing.T) {
	cert, key := certificate(t)
	plain := startRedis(t)
	port := freePort(t)
	plain.kill()
	plain.args = []string{"--tls-port", strconv.Itoa(port), "--tls-cert-file", cert, "--tls-key-file", key,
		"--tls-ca-cert-file", cert, "--tls-auth-clients", "yes"}
	plain.start()
	url := "rediss://127.0.0.1:" + strconv.Itoa(port)
	for name, options := range map[string]RedisTLS{
		"CA file":                    {CAFile: cert, CertFile: cert, KeyFile: key},
		"verify_mode 0":              {SkipVerify: true, CertFile: cert, KeyFile: key},
		"another name, not verified": {ServerName: "redis.test", SkipName: true, CAFile: cert, CertFile: cert, KeyFile: key},
	} {
		t.Run(name, func(t *testing.T) {
			h := receive(t, newRedis(t, RedisOptions{URL: url, TLS: options}))
			h.subscribe("s")
			publish(t, client(t, plain.address()), "s", "1")
			h.expect("s", "1")
		})
	}
	t.Run("an unknown authority is rejected", func(t *testing.T) {
		h := receive(t, newRedis(t, RedisOptions{URL: url, TLS: RedisTLS{CertFile: cert, KeyFile: key}}))
		eventually(t, "Ready names the certificate", func() bool {
			err := h.source.Ready()
			return err != nil && strings.Contains(err.Error(), "certificate")
		})
	})
	for name, options := range map[string]RedisTLS{
		"an unknown authority is rejected if the name is not verified": {SkipName: true, CertFile: cert, KeyFile: key},
		"another name is rejected":                                     {ServerName: "redis.test", CAFile: cert, CertFile: cert, KeyFile: key},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := options.config("127.0.0.1")
			if err != nil {
				t.Fatal(err)
			}
			conn, err := tls.Dial("tcp", "127.0.0.1:"+strconv.Itoa(port), config)
			if err == nil {
				conn.Close()
			}
			if err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// certificate creates a self-signed certificate for 127.0.0.1.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "catenary test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return writeFile(t, "cert.pem", block("CERTIFICATE", der)), writeFile(t, "key.pem", block("PRIVATE KEY", private))
}

func TestRedis_FindsTheMasterThroughSentinelsAndFollowsAFailover(t *testing.T) {
	master := startRedis(t)
	replica := startRedis(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.port))
	sentinel := &redisServer{t: t, port: freePort(t), dir: t.TempDir()}
	config := writeFile(t, "sentinel.conf", fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\n"+
		"sentinel monitor mymaster 127.0.0.1 %d 1\nsentinel down-after-milliseconds mymaster 500\n"+
		"sentinel failover-timeout mymaster 3000\nrequirepass sentinel-secret\n", sentinel.port, sentinel.dir, master.port))
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatal("these tests need redis-server in PATH")
	}
	sentinel.launch(path, []string{config, "--sentinel"})
	t.Cleanup(sentinel.kill)
	h := receive(t, newRedis(t, RedisOptions{URL: "redis://mymaster", Sentinels: []string{sentinel.address()},
		SentinelPassword: "sentinel-secret", ProbeEvery: 200 * time.Millisecond}))
	h.subscribe("s")
	publish(t, client(t, master.address()), "s", "1")
	h.expect("s", "1")

	promoted := client(t, replica.address())
	eventually(t, "the replica is in sync", func() bool {
		info, _ := promoted.Info(context.Background(), "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	})
	watching := client(t, sentinel.address())
	eventually(t, "the sentinel knows the replica", func() bool {
		_ = watching.Do(context.Background(), "AUTH", "sentinel-secret").Err()
		out, err := watching.Do(context.Background(), "SENTINEL", "replicas", "mymaster").Slice()
		return err == nil && len(out) == 1
	})
	master.kill()
	eventually(t, "the replica is promoted", func() bool {
		info, _ := promoted.Info(context.Background(), "replication").Result()
		return strings.Contains(info, "role:master")
	})
	eventually(t, "broadcasts arrive from the new master", func() bool {
		publish(t, promoted, "s", "2")
		select {
		case got := <-h.received:
			return got.payload == "2"
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

func startCluster(t *testing.T) (server *redisServer, admin *redis.Client) {
	t.Helper()
	server = startRedis(t, "--cluster-enabled", "yes")
	admin = client(t, server.address())
	if err := admin.Do(context.Background(), "CLUSTER", "ADDSLOTSRANGE", 0, 16383).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the cluster is up", func() bool {
		info, _ := admin.ClusterInfo(context.Background()).Result()
		return strings.Contains(info, "cluster_state:ok")
	})
	return server, admin
}

func TestRedis_ReceivesFromACluster(t *testing.T) {
	server, admin := startCluster(t)
	h := receive(t, newRedis(t, RedisOptions{Cluster: []string{server.address()}}))
	h.subscribe("s")
	publish(t, admin, "s", "1")
	h.expect("s", "1")
	if err := h.source.Publish(context.Background(), "s", []byte("2")); err != nil {
		t.Fatal(err)
	}
	h.expect("s", "2")
	if err := admin.Do(context.Background(), "CLIENT", "KILL", "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "broadcasts arrive again", func() bool {
		publish(t, admin, "s", "3")
		select {
		case <-h.received:
			return true
		case <-time.After(100 * time.Millisecond):
			return false
		}
	})
}

func TestRedis_NeverShowsThePassword(t *testing.T) {
	const secret = "hunter2secret"
	server := startRedis(t, "--requirepass", "another")
	for _, url := range []string{
		"redis://:" + secret + "@localhost:99999999999/1", "redis://u:" + secret + "@[::1", "http://u:" + secret + "@h",
		"redis://u:" + secret + "@localhost/0/cache", "redis://user:" + secret + "%zz@h", "valkey://:" + secret + "@h",
		"redis://u:" + secret + "#@h",
	} {
		r, err := NewRedis(RedisOptions{URL: url}, quiet())
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("the error shows the password: %v", err)
		}
		if r != nil {
			_ = r.client.Close()
		}
	}
	var log bytes.Buffer
	r, err := NewRedis(RedisOptions{URL: "redis://:" + secret + "@" + server.address()}, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx, func(string, []byte) {}) }()
	eventually(t, "Ready says that the password is wrong", func() bool {
		return strings.Contains(r.Ready().Error(), "WRONGPASS")
	})
	shown := r.Ready().Error() + errors.Join(r.Publish(ctx, "s", nil)).Error()
	stop()
	<-ended
	if strings.Contains(shown+log.String(), secret) {
		t.Errorf("the password is shown: %s %s", shown, log.String())
	}
}
