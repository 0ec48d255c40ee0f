package history

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/redis/go-redis/v9"
)

// Sentinel makes a replica the master that lacks two broadcasts, which the master had acknowledged and
// browsers have received. Then it makes the old master, which runs again, master again.
func TestFailover_NothingIsSentAsIfItWereAll(t *testing.T) {
	t.Parallel()
	master := startServer(t, withoutDisk...)
	host, port, _ := net.SplitHostPort(master.address)
	replica := startServer(t, append(slices.Clone(withoutDisk), "--replicaof", host+" "+port)...)
	file := filepath.Join(t.TempDir(), "sentinel.conf")
	err := os.WriteFile(file, fmt.Appendf(nil, "sentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 500\n"+
		"sentinel failover-timeout main 1000\n", host, port), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	sentinel := startServer(t, file, "--sentinel")
	watching := func() string {
		known, _ := sentinel.client.Do(t.Context(), "SENTINEL", "replicas", "main").Slice()
		address, _ := sentinel.client.Do(t.Context(), "SENTINEL", "get-master-addr-by-name", "main").StringSlice()
		return fmt.Sprint(strings.Join(address, ":"), " ", len(known))
	}
	hasLink := func(r *server) bool {
		info, _ := r.client.Info(t.Context(), "replication").Result()
		return strings.Contains(info, "master_link_status:up")
	}
	patience.Eventually(t, "the replica has a link, and the sentinel knows it", func() bool {
		return hasLink(replica) && watching() == master.address+" 1"
	})
	s := newStore(t, redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: "main", SentinelAddrs: []string{sentinel.address}, Protocol: 2, MaxRetries: -1, DisableIdentity: true,
	}))
	t.Cleanup(func() { s.client.Close() })
	finds := func(r *server) {
		_, port, _ := net.SplitHostPort(r.address)
		patience.Eventually(t, "the client has found the new master", func() bool {
			at, _ := s.client.ConfigGet(t.Context(), "port").Result()
			role, _ := s.client.Do(t.Context(), "ROLE").Slice()
			return at["port"] == port && len(role) > 0 && role[0] == "master"
		})
	}
	now := s.now()
	for _, stream := range []string{"chat:1", "chat:quiet"} {
		s.publish(stream, 1, 2)
	}
	quiet := "0000000000000003"
	_, head := keys(nil, "chat:quiet")
	patience.Eventually(t, "the replica has all", func() bool { // WAIT is about the writes of its own connection
		offset, _ := replica.client.HGet(t.Context(), head, "offset").Result()
		return offset == "2"
	})

	// A password that the master does not have keeps the replica from connecting again.
	replica.client.ConfigSet(t.Context(), "masterauth", "none")
	master.client.Do(t.Context(), "CLIENT", "KILL", "TYPE", "replica")
	patience.Eventually(t, "the replica has no link", func() bool { return !hasLink(replica) })
	s.publish("chat:1", 3, 4)
	s.publish("chat:quiet", 3, 4)
	master.process.Process.Signal(syscall.SIGSTOP)
	patience.Eventually(t, "the replica is master", func() bool { return strings.HasPrefix(watching(), replica.address) })
	finds(replica)

	nothing := func(stream, epoch string) {
		t.Helper()
		for offset := range uint64(5) {
			entries, _, err := s.history().Read(t.Context(), []string{stream}, after(stream, epoch, offset))
			if err == nil {
				t.Errorf("after %d: got %v", offset, entries)
			}
		}
		s.expect(ErrIncomplete, protocol.History{Since: now}, stream)
	}
	nothing("chat:1", first)
	s.publish("chat:1", 5, 6)
	nothing("chat:1", first)
	s.expect("6@2", after("chat:1", fmt.Sprintf("%016x", s.epochs-1), 1), "chat:1")

	replica.client.ConfigSet(t.Context(), "masterauth", "")
	master.process.Process.Signal(syscall.SIGCONT)
	host, port, _ = net.SplitHostPort(replica.address)
	master.client.Do(t.Context(), "REPLICAOF", host, port) // Sentinel would wait for 8 s
	patience.Eventually(t, "the old master is its replica", func() bool { return hasLink(master) })
	patience.Eventually(t, "the sentinel makes it master", func() bool {
		sentinel.client.Do(t.Context(), "SENTINEL", "failover", "main")
		return strings.HasPrefix(watching(), master.address)
	})
	finds(master)
	nothing("chat:quiet", quiet) // which has the same run_id again
	s.publish("chat:quiet", 5, 5)
	nothing("chat:quiet", quiet)
	s.expect("5@1", after("chat:quiet", fmt.Sprintf("%016x", s.epochs), 0), "chat:quiet")
}

// Both keys of a stream are on one node, and every node publishes what the script publishes on one.
func TestCluster_KeepsAndPublishes(t *testing.T) {
	t.Parallel()
	var nodes []*server
	for range 2 {
		nodes = append(nodes, startServer(t, append(slices.Clone(withoutDisk), "--cluster-enabled", "yes", "--cluster-port", freePort(t))...))
	}
	ctx := t.Context()
	half := 16384 / 2
	for i, node := range nodes {
		if err := node.client.ClusterAddSlotsRange(ctx, i*half, (i+1)*half-1).Err(); err != nil {
			t.Fatal(err)
		}
	}
	host, port, _ := net.SplitHostPort(nodes[1].address)
	bus, _ := nodes[1].client.ConfigGet(ctx, "cluster-port").Result()
	if err := nodes[0].client.Do(ctx, "CLUSTER", "MEET", host, port, bus["cluster-port"]).Err(); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes {
		patience.Eventually(t, "the cluster is complete", func() bool {
			info, _ := node.client.ClusterInfo(ctx).Result()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:2")
		})
	}
	s := newStore(t, redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: []string{nodes[0].address}, Protocol: 2, DisableIdentity: true,
	}))
	t.Cleanup(func() { s.client.Close() })
	var streams []string
	for i := range 8 {
		streams = append(streams, fmt.Sprint("chat:", i))
	}
	listening := nodes[0].client.Subscribe(ctx, streams...)
	defer listening.Close()
	for range streams {
		if _, err := listening.Receive(ctx); err != nil {
			t.Fatal(err)
		}
	}
	now := s.now()
	for _, stream := range streams {
		s.publish(stream, 1, 3)
		s.expect("1@1 2@2 3@3", protocol.History{Since: now}, stream)
	}
	s.expect("3@3", after("chat:0", first, 2), "chat:0", "chat:1", "chat:2")
	for range 3 * len(streams) {
		message, err := listening.ReceiveMessage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, position := CutNumber([]byte(message.Payload)); position.Offset == 0 {
			t.Errorf("%s has no number", message.Payload)
		}
	}
	for _, node := range nodes {
		if keys, _ := node.client.DBSize(ctx).Result(); keys == 0 || keys == int64(2*len(streams)) {
			t.Errorf("a node has %d keys", keys)
		}
	}
}
