package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/redis/go-redis/v9"
)

const (
	briefLease = "  nodes:\n    lease: 5s\n"
	present    = `{"channel":"PresenceChannel","room":"hall"}`
)

// store returns a client of the app's database in Redis.
func (c *cluster) store() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: c.Redis.Address, DB: 1, Protocol: 2})
	c.Cleanup(func() { client.Close() })
	return client
}

// catenaryKeys returns the keys of nodes in Redis.
func (c *cluster) catenaryKeys() []string {
	c.Helper()
	keys, err := c.store().Keys(context.Background(), "*_catenary*").Result()
	if err != nil {
		c.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// connectPresent connects a user to a node and subscribes to PresenceChannel.
func (c *cluster) connectPresent(node int, user string) *stage.Browser {
	c.Helper()
	b := c.Connect(node, "/cable?uid="+user)
	c.Expect(b, stage.Welcome)
	c.Subscribe(b, present)
	return b
}

// waitFor fails the test unless a condition comes to hold.
func (c *cluster) waitFor(what string, holds func() bool) {
	c.Helper()
	if !stage.Await(holds) {
		for i, node := range c.Nodes {
			c.Logf("the end of node %d's output:\n%s", i, node.Process.Output.Tail())
		}
		c.Fatalf("not so: %s", what)
	}
}

// expectAllCallbacks waits until all callbacks of each user's connection have run once.
func (c *cluster) expectAllCallbacks(users ...string) {
	c.Helper()
	for _, user := range users {
		err := c.App.AwaitEvents(user, stage.Events, []string{"connect", "subscribed " + present, "unsubscribed " + present, "disconnect"})
		if err != nil {
			c.Errorf("user %s: %v", user, err)
		}
	}
}

func (c *cluster) expectPresent(n string) {
	c.Helper()
	store := c.store()
	c.waitFor(n+" are present", func() bool { return store.Get(context.Background(), "present:hall").Val() == n })
}

// freeze stops a process with SIGSTOP and waits until all its threads are stopped.
func (c *cluster) freeze(p *stage.Process) {
	c.Helper()
	p.Signal(syscall.SIGSTOP)
	c.waitFor("the node is frozen", func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", p.Command.Process.Pid))
		for _, thread := range threads {
			if status, err := os.ReadFile(thread); err == nil && !strings.Contains(string(status), "\nState:\tT") {
				return false
			}
		}
		return true
	})
}

func users(from, to int) (users []string) {
	for user := from; user < to; user++ {
		users = append(users, fmt.Sprint(user))
	}
	return users
}

func TestSurvivors_RunTheDisconnectCallbacksOfAKilledNode(t *testing.T) {
	c := startCluster(t, 3, briefLease)
	killed := users(0, 50)
	for _, user := range killed {
		c.connectPresent(0, user)
	}
	others := []*stage.Browser{c.connectPresent(1, "51"), c.connectPresent(2, "52")}
	c.expectPresent("52")
	c.WaitForMetric(0, "catenary_lease_records 50")
	c.WaitForMetric(0, "catenary_lease_records_pending 0")
	c.Nodes[0].Process.Kill()

	c.expectPresent("2")
	c.expectAllCallbacks(killed...)
	for _, b := range others { // other connections are not affected
		c.Subscribe(b, `{"channel":"EchoChannel"}`)
		c.perform(b, `{"channel":"EchoChannel"}`, `{"action":"num"}`, "42")
	}
}

func TestSurvivors_AFrozenNodeDisconnectsItsBrowsersWhenItWakes(t *testing.T) {
	c := startCluster(t, 2, briefLease)
	frozen := c.Nodes[0].Process
	affectedUsers := users(0, 5)
	var browsers []*stage.Browser
	for _, user := range affectedUsers {
		browsers = append(browsers, c.connectPresent(0, user))
	}
	c.WaitForMetric(0, "catenary_lease_records 5")
	c.WaitForMetric(0, "catenary_lease_records_pending 0")
	c.freeze(frozen)
	browsers[0].Close()                                          // noticed too late
	browsers[1].Send(stage.Command("unsubscribe", present, nil)) // read too late
	browsers[2].Send(stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil))
	c.WaitForMetric(1, "catenary_connections_taken_over_total 5")
	c.expectPresent("0")

	frozen.Signal(syscall.SIGCONT)
	for _, b := range browsers[1:] {
		c.Expect(b, `{"type":"disconnect","reason":"server_restart","reconnect":true}`, "(close 1000)")
	}
	c.WaitForMetric(0, "catenary_connections 0")
	c.expectAllCallbacks(affectedUsers...)
	c.connectPresent(0, "6") // the node works again
	c.WaitForMetric(0, "catenary_lease_records 1")
	c.expectPresent("1")
	for _, node := range c.Nodes {
		node.Process.Stop(t)
	}
	c.expectAllCallbacks(append(affectedUsers, "6")...)
	c.expectPresent("0")
	if keys := c.catenaryKeys(); len(keys) > 0 {
		t.Errorf("after all nodes have stopped, Redis still has %q", keys)
	}
}

func TestSurvivors_WithoutALeaseRedisHoldsNothing(t *testing.T) {
	c := startCluster(t, 1, "  nodes:\n    lease: 0\n")
	c.connectPresent(0, "1")
	c.WaitForMetric(0, "catenary_subscriptions 1")
	c.WaitForMetric(0, "catenary_lease 0")
	if keys := c.catenaryKeys(); len(keys) > 0 {
		t.Errorf("Redis has %q", keys)
	}
}

// For connections that catenary has identified, connect and disconnect do not run, but the
// callbacks of their channels do.
func TestSurvivors_RunTheUnsubscribedCallbacksOfIdentifiedConnections(t *testing.T) {
	t.Parallel()
	c := &cluster{Edge: stage.StartEdgeOn(t, 2, []string{"LAB_IDENTIFY=user tenant"}, stage.JWTSettings(stage.IdentifySettings)+briefLease)}
	c.ConnectAs("8", nil) // Rails does not know this connection
	for _, user := range users(0, 5) {
		c.Edge.Subscribe(c.ConnectAs(user, nil), present)
	}
	c.expectPresent("5")
	c.WaitForMetric(0, "catenary_lease_records 5")
	c.WaitForMetric(0, "catenary_lease_records_pending 0")
	c.Nodes[0].Process.Kill()

	c.expectPresent("0")
	for user, want := range map[string][]string{"0": {"subscribed " + present, "unsubscribed " + present}, "8": nil} {
		if err := c.App.AwaitEvents(user, stage.Events, want); err != nil {
			t.Errorf("user %s: %v", user, err)
		}
	}
}
