package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/redis/go-redis/v9"
)

const redisAway = "broadcasts do not arrive from Redis"

// Faults of Redis. They share one application, which none of them disturbs.
var redisFaults = []*fault{
	{
		name:   "killed and started again after 2 s",
		inject: func(s *rig) { s.redis.Down() },
		during: func(s *rig) { time.Sleep(2 * time.Second) },
		repair: func(s *rig) { s.must(s.redis.Up()) },
		gap:    true, unready: redisAway,
	},
	{
		name: "frozen until catenary notices (SIGSTOP)", long: true,
		inject: func(s *rig) { s.redis.Process.Signal(syscall.SIGSTOP) },
		repair: func(s *rig) { s.redis.Process.Signal(syscall.SIGCONT) },
		gap:    true, unready: redisAway,
	},
	{
		name:   "paused for 2 s (CLIENT PAUSE)",
		inject: func(s *rig) { s.must(s.redis.Do("(pause 2000)")) },
	},
	{
		name:   "unreachable: every packet is lost, nothing is closed",
		inject: func(s *rig) { s.toRedis.Lose(stage.ToTarget | stage.ToClient) },
		repair: func(s *rig) { s.toRedis.Lose(0) },
		gap:    true, unready: redisAway,
	},
	{
		name: "gets commands, but its answers are lost", long: true,
		inject: func(s *rig) { s.toRedis.Lose(stage.ToClient) },
		repair: func(s *rig) { s.toRedis.Lose(0) },
		gap:    true, unready: redisAway,
	},
	{
		name: "300 ms of latency, in segments of 100 bytes", long: true,
		inject: func(s *rig) {
			s.toRedis.Set(func(p *stage.FaultyProxy) { p.Latency, p.Piece = 300*time.Millisecond, 100 })
		},
		during: func(s *rig) { s.settle(s.recorders...) },
		repair: func(s *rig) { s.toRedis.Set(func(p *stage.FaultyProxy) { p.Latency, p.Piece = 0, 0 }) },
	},
	{
		name: "closes the subscriber's connection (CLIENT KILL TYPE pubsub)", long: true,
		inject: func(s *rig) { s.must(s.redis.Do("CLIENT KILL TYPE pubsub")) },
		during: untilGap,
		gap:    true, brief: true,
	},
	{
		name: "closes the subscriber's connection (client-output-buffer-limit)", long: true,
		setUp: func(s *rig) {
			s.startRedis("--client-output-buffer-limit", "pubsub 1mb 1mb 1")
		},
		inject: outgrowBuffer,
		during: untilGap,
		gap:    true, brief: true,
	},
	{
		name: "rejects catenary's password for a while (ACL user)",
		setUp: func(s *rig) {
			s.startRedis("--user", "cat", "on", ">one", "~*", "&*", "+@all")
			s.redisFlags = []string{"--broadcasts-redis-url", "redis://cat:one@" + s.toRedis.Address + "/1"}
		},
		inject: func(s *rig) {
			s.must(s.redis.Do("ACL SETUSER cat resetpass >two"))
			s.toRedis.Cut()
		},
		repair: func(s *rig) { s.must(s.redis.Do("ACL SETUSER cat resetpass >one")) },
		gap:    true, unready: "WRONGPASS",
	},
	{
		name: "on a Unix socket: killed and started again", long: true,
		setUp: func(s *rig) {
			socket := filepath.Join(s.shortFolder(), "redis.sock")
			s.startRedis("--unixsocket", socket)
			s.redisFlags = []string{"--broadcasts-redis-url", "unix://" + socket}
		},
		inject: func(s *rig) { s.redis.Down() },
		repair: func(s *rig) { s.must(s.redis.Up()) },
		gap:    true, unready: redisAway,
	},
	{
		name: "over TLS with a private CA and client certificates: connections are cut", long: true,
		setUp:  setUpTLS,
		inject: func(s *rig) { s.toRedis.Cut() },
		during: untilGap,
		gap:    true, brief: true,
	},
	{
		name:   "behind Sentinel: the master is killed, a replica takes its place",
		setUp:  setUpSentinel,
		inject: func(s *rig) { s.redis.Down() },
		gap:    true, unready: "broadcasts do not arrive from Redis at sentinels",
	},
	{
		name: "a cluster of three masters: the one with catenary's subscriptions is killed", long: true,
		setUp:  setUpCluster,
		inject: killOurNode,
		during: untilGap,
		gap:    true, brief: true,
	},
}

// untilGap waits until catenary has noticed the loss and broadcasts arrive again.
func untilGap(s *rig) {
	stage.Await(func() bool { return s.logCount("broadcasts arrive again\"") > 0 })
}

// outgrowBuffer makes Redis' output buffer for catenary exceed its limit.
func outgrowBuffer(s *rig) {
	b, err := stage.Dial(s.catenary.Address, stage.Handshake("GET", "/cable?uid=big", s.catenary.Address, nil))
	s.must(err)
	s.Cleanup(b.Close)
	big := s.stream + "-big"
	s.must(b.Send(stage.Command("subscribe", `{"channel":"TallyChannel","s":"`+big+`"}`, nil)))
	stage.Await(func() bool {
		n, err := s.redis.Run([]any{"PUBSUB", "NUMSUB", big})
		return err == nil && n == "1"
	})
	s.toRedis.Set(func(p *stage.FaultyProxy) { p.Rate = 20 })
	payload := `"` + strings.Repeat("x", 1<<20) + `"`
	for range 30 {
		s.must(s.redis.Client.Publish(context.Background(), big, payload).Err())
	}
	s.toRedis.Set(func(p *stage.FaultyProxy) { p.Rate = 0 })
}

func setUpTLS(s *rig) {
	folder := s.TempDir()
	stage.WriteCertificate(s.T, folder, 1)
	certificate, key := filepath.Join(folder, "certificate.pem"), filepath.Join(folder, "key.pem")
	secure := stage.FreeAddress()
	_, port, _ := net.SplitHostPort(secure)
	s.startRedis("--tls-port", port, "--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate, "--tls-auth-clients", "yes")
	s.toRedis = stage.StartProxy(s.T, secure)
	s.redisFlags = []string{"--broadcasts-redis-url", "rediss://" + s.toRedis.Address, "--broadcasts-redis-ssl-params-verify-mode", "peer",
		"--broadcasts-redis-ssl-params-ca-file", certificate, "--broadcasts-redis-ssl-params-cert", certificate, "--broadcasts-redis-ssl-params-key", key}
}

func setUpSentinel(s *rig) {
	s.startRedis()
	host, port, _ := net.SplitHostPort(s.redis.Address)
	replica, err := stage.StartRedis("--replicaof", host+" "+port)
	s.must(err)
	s.Cleanup(replica.Close)
	sentinel := stage.FreeAddress()
	_, sentinelPort, _ := net.SplitHostPort(sentinel)
	folder := s.TempDir()
	file := filepath.Join(folder, "sentinel.conf")
	s.must(os.WriteFile(file, fmt.Appendf(nil, "port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor main %s %s 1\n"+
		"sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 3000\n", sentinelPort, folder, host, port), 0o600))
	process, err := stage.Start(folder, nil, "redis-server", file, "--sentinel")
	s.must(err)
	s.Cleanup(process.Kill)
	watching := redis.NewClient(&redis.Options{Addr: sentinel, Protocol: 2})
	s.Cleanup(func() { watching.Close() })
	if !stage.Await(func() bool {
		known, err := watching.Do(s.Context(), "SENTINEL", "replicas", "main").Slice()
		info, _ := replica.Client.Info(s.Context(), "replication").Result()
		return err == nil && len(known) == 1 && strings.Contains(info, "master_link_status:up")
	}) {
		s.Fatal("the sentinel does not find the replica")
	}
	s.publisher = redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "main", SentinelAddrs: []string{sentinel}, Protocol: 2, MaxRetries: -1, DialTimeout: time.Second})
	root := filepath.Join(folder, "root")
	s.must(os.MkdirAll(filepath.Join(root, "config"), 0o755))
	s.must(os.WriteFile(filepath.Join(root, "config", "catenary.yml"), fmt.Appendf(nil,
		"shared:\n  broadcasts:\n    redis:\n      master_name: main\n      sentinels:\n        - host: 127.0.0.1\n          port: %s\n", sentinelPort), 0o600))
	s.redisFlags = []string{"--root", root}
}

func setUpCluster(s *rig) {
	var addresses []string
	for range 3 {
		bus := stage.FreeAddress()
		_, port, _ := net.SplitHostPort(bus)
		node, err := stage.StartRedis("--cluster-enabled", "yes", "--cluster-port", port, "--cluster-config-file", filepath.Join(s.TempDir(), "nodes.conf"),
			"--cluster-require-full-coverage", "no", "--cluster-node-timeout", "1000")
		s.must(err)
		s.Cleanup(node.Close)
		s.cluster = append(s.cluster, node)
		addresses = append(addresses, node.Address)
	}
	output, err := exec.Command("redis-cli", append(append([]string{"--cluster", "create"}, addresses...), "--cluster-yes")...).CombinedOutput()
	if err != nil {
		s.Fatalf("%v\n%s", err, output)
	}
	for _, node := range s.cluster {
		if !stage.Await(func() bool {
			info, err := node.Client.ClusterInfo(s.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		}) {
			s.Fatal("the cluster does not come up")
		}
	}
	s.redis = s.cluster[0]
	s.redisFlags = []string{"--broadcasts-redis-cluster", strings.Join(addresses, ",")}
}

// killOurNode kills the node that catenary is subscribed to. Another node publishes from now on.
func killOurNode(s *rig) {
	for i, node := range s.cluster {
		if n, err := node.Run([]any{"PUBSUB", "NUMSUB", s.stream}); err == nil && n != "0" {
			s.publishLock.Lock()
			s.publisher = redis.NewClient(publishing(s.cluster[(i+1)%len(s.cluster)].Address))
			s.publishLock.Unlock()
			node.Down()
			return
		}
	}
	s.Error("catenary is subscribed to no node")
}
