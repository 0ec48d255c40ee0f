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

// store is the app's own database in Redis.
func (c *cluster) store() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: c.Redis.Address, DB: 1, Protocol: 2})
	c.Cleanup(func() { client.Close() })
	return client
}

// keeps are the keys that nodes have in Redis.
func (c *cluster) keeps() []string {
	c.Helper()
	keys, err := c.store().Keys(context.Background(), "*_catenary*").Result()
	if err != nil {
		c.Fatal(err)
	}
	slices.Sort(keys)
	return keys
}

// enters is the browser of a user, at a node, who is present.
func (c *cluster) enters(node int, user string) *stage.Browser {
	c.Helper()
	b := c.Connect(node, "/cable?uid="+user)
	c.Expect(b, stage.Welcome)
	c.subscribes(b, present)
	return b
}

// says waits for a line of a node's /metrics.
func (c *cluster) says(node int, line string) {
	c.Helper()
	err := c.Nodes[node].Process.WaitFor(func() error {
		text, err := stage.Get("http://" + c.Nodes[node].Operations + "/metrics")
		if err == nil && !slices.Contains(strings.Split(text, "\n"), line) {
			err = fmt.Errorf("node %d does not say %s", node, line)
		}
		return err
	})
	if err != nil {
		c.Fatal(err)
	}
}

// eventually waits for what only Redis or Rails can tell.
func (c *cluster) eventually(what string, holds func() bool) {
	c.Helper()
	if !stage.Await(holds) {
		for i, node := range c.Nodes {
			c.Logf("node %d wrote at last:\n%s", i, node.Process.Output.Tail())
		}
		c.Fatalf("it never came true that %s", what)
	}
}

// left expects that the whole life of each user has been seen by the application, once.
func (c *cluster) left(users ...string) {
	c.Helper()
	for _, user := range users {
		err := c.App.AwaitEvents(user, stage.Events, []string{"connect", "subscribed " + present, "unsubscribed " + present, "disconnect"})
		if err != nil {
			c.Errorf("user %s: %v", user, err)
		}
	}
}

func (c *cluster) arePresent(n string) {
	c.Helper()
	store := c.store()
	c.eventually(n+" are present", func() bool { return store.Get(context.Background(), "present:hall").Val() == n })
}

// sleeps stops a process, and waits until each of its threads stands still.
func (c *cluster) sleeps(p *stage.Process) {
	c.Helper()
	p.Signal(syscall.SIGSTOP)
	c.eventually("the node sleeps", func() bool {
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

func TestSurvivors_RunTheCallbacksOfANodeThatIsKilled(t *testing.T) {
	c := startCluster(t, 3, briefLease)
	killed := users(0, 50)
	for _, user := range killed {
		c.enters(0, user)
	}
	others := []*stage.Browser{c.enters(1, "51"), c.enters(2, "52")}
	c.arePresent("52")
	c.says(0, "catenary_records 50")
	c.says(0, "catenary_records_waiting 0")
	c.Nodes[0].Process.Kill()

	c.arePresent("2")
	c.left(killed...)
	for _, b := range others { // the others do not care
		c.subscribes(b, `{"channel":"EchoChannel"}`)
		c.performs(b, `{"channel":"EchoChannel"}`, `{"action":"num"}`, "42")
	}
}

func TestSurvivors_ANodeThatSleptTellsItsBrowsersToComeBack(t *testing.T) {
	c := startCluster(t, 2, briefLease)
	sleeper := c.Nodes[0].Process
	asleep := users(0, 5)
	var browsers []*stage.Browser
	for _, user := range asleep {
		browsers = append(browsers, c.enters(0, user))
	}
	c.says(0, "catenary_records 5")
	c.says(0, "catenary_records_waiting 0")
	c.sleeps(sleeper)
	browsers[0].Close()                                          // its end is seen too late
	browsers[1].Send(stage.Command("unsubscribe", present, nil)) // and so is this
	browsers[2].Send(stage.Command("subscribe", `{"channel":"EchoChannel"}`, nil))
	c.says(1, "catenary_connections_taken_over_total 5")
	c.arePresent("0")

	sleeper.Signal(syscall.SIGCONT)
	for _, b := range browsers[1:] {
		c.Expect(b, `{"type":"disconnect","reason":"server_restart","reconnect":true}`, "(close 1000)")
	}
	c.says(0, "catenary_connections 0")
	c.left(asleep...)
	c.enters(0, "6") // it goes on
	c.says(0, "catenary_records 1")
	c.arePresent("1")
	for _, node := range c.Nodes {
		node.Process.Stop(t)
	}
	c.left(append(asleep, "6")...)
	c.arePresent("0")
	if keys := c.keeps(); len(keys) > 0 {
		t.Errorf("after all have stopped, these are left in Redis: %q", keys)
	}
}

func TestSurvivors_KeepNothingInRedisIfTheyAreNotWanted(t *testing.T) {
	c := startCluster(t, 1, "  nodes:\n    lease: 0\n")
	c.enters(0, "1")
	c.says(0, "catenary_subscriptions 1")
	c.says(0, "catenary_lease 0")
	if keys := c.keeps(); len(keys) > 0 {
		t.Errorf("these are in Redis: %q", keys)
	}
}

// Of a connection that catenary has opened itself neither connect nor disconnect runs; but its channels' callbacks do.
func TestSurvivors_RunTheCallbacksOfIdentifiedConnections(t *testing.T) {
	t.Parallel()
	c := &cluster{Edge: stage.StartEdgeOn(t, 2, []string{"LAB_IDENTIFY=user tenant"}, stage.JWTSettings(stage.IdentifySettings)+briefLease)}
	c.ConnectAs("8", nil) // Rails has never heard of it
	for _, user := range users(0, 5) {
		c.Edge.Subscribe(c.ConnectAs(user, nil), present)
	}
	c.arePresent("5")
	c.says(0, "catenary_records 5")
	c.says(0, "catenary_records_waiting 0")
	c.Nodes[0].Process.Kill()

	c.arePresent("0")
	for user, want := range map[string][]string{"0": {"subscribed " + present, "unsubscribed " + present}, "8": nil} {
		if err := c.App.AwaitEvents(user, stage.Events, want); err != nil {
			t.Errorf("user %s: %v", user, err)
		}
	}
}
