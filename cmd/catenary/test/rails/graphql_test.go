package rails

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var graphqlIdle = flag.Duration("idle", 0, "how long TestGraphql leaves everything idle; Puma closes connections after 20s")

// GraphqlChannel is like graphql-ruby's: a query lives in the memory of one Rails process.
func TestGraphql_EventsReachTheProcessThatHoldsTheQuery(t *testing.T) {
	t.Parallel()
	t.Run("with one process", func(t *testing.T) { testGraphql(t, "0") })
	t.Run("with three processes", func(t *testing.T) { testGraphql(t, "3") })
}

func testGraphql(t *testing.T, processes string) {
	t.Parallel()
	w, err := stage.StartWorld("catenary", "", "WEB_CONCURRENCY="+processes, "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	if processes != "0" {
		if err := w.App.Process.WaitFor(func() error { return stage.Wrote(w.App.Process, "Worker 2 (PID") }); err != nil {
			t.Fatal(err)
		}
	}

	var clients []*graphqlClient
	pids := map[int]int{}
	for len(clients) < 12 || processes != "0" && len(pids) < 2 && len(clients) < 120 { // Puma balances at random
		var some []*graphqlClient
		for i := range 12 {
			some = append(some, &graphqlClient{t: t, world: w, query: fmt.Sprint("query ", len(clients)+i)})
		}
		connect(some...)
		for _, c := range some {
			t.Cleanup(func() { c.browser.Close() })
			pids[c.pid]++
		}
		clients = append(clients, some...)
	}
	t.Logf("browsers by process: %v", pids)
	if processes != "0" && len(pids) < 2 {
		t.Fatalf("all clients are in one process: %v", pids)
	}
	time.Sleep(*graphqlIdle)

	publishers := map[string]bool{}
	for n := range 15 {
		pid, err := w.App.Request("POST", "/trigger", fmt.Sprintf(`{"topic":"order","object":{"n":%d}}`, n))
		if err != nil {
			t.Fatal(err)
		}
		publishers[pid] = true
		for _, c := range clients {
			c.expectResult(n)
		}
	}
	t.Logf("processes that published: %v", publishers)

	// An event reaches all but the client that has unsubscribed.
	gone := clients[0]
	clients = clients[1:]
	gone.browser.Send(stage.Command("unsubscribe", graphqlIdentifier, nil))
	late, err := gone.browser.Fence()
	if err != nil {
		t.Fatal(err)
	}
	w.App.Ask(`POST /trigger {"topic":"order","object":{"n":100}}`)
	for _, c := range clients {
		c.expectResult(100)
	}
	more, err := gone.browser.Fence()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range append(late, more...) {
		if result, _, _ := readResult(e.Text); e.Kind != "text" || result.More {
			t.Fatalf("after unsubscribe: %s", e)
		}
	}

	// The process of the first client is killed.
	dead := clients[0].pid
	if processes == "0" {
		w.App.Process.Kill()
		if err := w.App.Up(); err != nil {
			t.Fatal(err)
		}
	} else if err := syscall.Kill(dead, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var returned int
	for _, c := range clients {
		if c.pid == dead {
			c.expectReconnect()
			connect(c)
			returned++
		}
	}
	t.Logf("%d of %d browsers had to reconnect", returned, len(clients))
	w.App.Ask(`POST /trigger {"topic":"order","object":{"n":200}}`)
	for _, c := range clients {
		c.expectResult(200)
		if err := c.browser.CheckQuiet(); err != nil {
			t.Fatalf("at the end: %v", err)
		}
	}
}

const graphqlIdentifier = `{"channel":"GraphqlChannel","channelId":"1"}`

// A graphqlClient imitates graphql-ruby-client.
type graphqlClient struct {
	t       *testing.T
	world   *stage.World
	browser *stage.Browser
	query   string
	topic   string // "" is order
	pid     int    // the process that holds its query
}

// connect connects all clients concurrently and runs their queries.
func connect(clients ...*graphqlClient) {
	for _, c := range clients {
		c.t.Helper()
		var err error
		if c.browser, err = stage.Dial(c.world.Address, stage.Handshake("GET", "/cable", c.world.Address, nil)); err != nil {
			c.t.Fatal(err)
		}
	}
	for _, c := range clients {
		c.expect(stage.Welcome)
		c.browser.Send(stage.Command("subscribe", graphqlIdentifier, nil)) // Rails may lose commands before the welcome
	}
	for _, c := range clients {
		c.expect(stage.Confirmation(graphqlIdentifier))
		data, _ := json.Marshal(map[string]string{"action": "execute", "query": c.query, "topic": cmp.Or(c.topic, "order")})
		c.browser.Send(stage.Command("message", graphqlIdentifier, string(data)))
	}
	for _, c := range clients {
		c.pid = c.next().Result.PID
	}
}

func (c *graphqlClient) expect(want string) {
	c.t.Helper()
	if e, ok := stage.NextFrame(c.browser); !ok || e.Text != want {
		c.t.Fatalf("%s: got %q, want %s", c.query, e, want)
	}
}

// expectResult expects that the process that holds the query has run it again, once.
func (c *graphqlClient) expectResult(n int) {
	c.t.Helper()
	r := c.next()
	if r.Result.Query != c.query || r.Result.Object.N != n || r.Result.PID != c.pid || !r.More {
		c.t.Fatalf("%s in process %d: event %d: got %+v", c.query, c.pid, n, r)
	}
}

// expectReconnect expects a disconnect that makes the client reconnect.
func (c *graphqlClient) expectReconnect() {
	c.t.Helper()
	c.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
}

func (c *graphqlClient) next() graphqlResult {
	c.t.Helper()
	e, ok := stage.NextFrame(c.browser)
	if !ok {
		c.t.Fatalf("%s in process %d: no result", c.query, c.pid)
	}
	r, identifier, err := readResult(e.Text)
	if err != nil || identifier != graphqlIdentifier {
		c.t.Fatalf("%s in process %d: got %s: %v", c.query, c.pid, e, err)
	}
	return r
}

type graphqlResult struct {
	Result struct {
		Query  string
		Object struct{ N int }
		Runs   int
		PID    int
	}
	More bool
}

func readResult(text string) (r graphqlResult, identifier string, err error) {
	var frame struct {
		Identifier string
		Message    json.RawMessage
	}
	if err = json.Unmarshal([]byte(text), &frame); err == nil {
		err = json.Unmarshal(frame.Message, &r)
	}
	return r, frame.Identifier, err
}
