package faults

import (
	"fmt"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A cluster is an app with several nodes of catenary behind a load balancer.
type cluster struct {
	*stage.Edge
	balancer *balancer
}

func startCluster(t *testing.T, nodes int, settings string, flags ...string) *cluster {
	t.Helper()
	t.Parallel()
	e := stage.StartEdge(t, nodes, settings, flags...)
	return &cluster{e, startBalancer(t, e.Nodes)}
}

// connectBalanced connects a browser through the load balancer.
func (c *cluster) connectBalanced(path string) *stage.Browser {
	c.Helper()
	b, err := stage.Dial(c.balancer.address, stage.Handshake("GET", path, c.balancer.address, nil))
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(b.Close)
	c.Expect(b, stage.Welcome)
	return b
}

func (c *cluster) connectMany(n int, path string) (browsers []*stage.Browser) {
	c.Helper()
	for range n {
		browsers = append(browsers, c.connectBalanced(path))
	}
	return browsers
}

// perform performs an action and expects this message for the identifier.
func (c *cluster) perform(b *stage.Browser, identifier, action, message string) {
	c.Helper()
	b.Send(stage.Command("message", identifier, action))
	c.Expect(b, stage.MessageFor(identifier, message))
}

// mustAsk runs an "app>" step of transcripts.
func mustAsk(e *stage.Edge, text string) {
	e.Helper()
	if err := e.App.Ask(text); err != nil {
		e.Fatal(err)
	}
}

// expectSpread waits until every node has this number of connections.
func (c *cluster) expectSpread(each int) {
	c.Helper()
	for i, node := range c.Nodes {
		err := node.Process.WaitFor(func() error {
			text, err := stage.Get("http://" + node.Operations + "/metrics")
			if err == nil && !strings.Contains(text, fmt.Sprintf("\ncatenary_connections %d\n", each)) {
				err = fmt.Errorf("node %d does not have %d connections", i, each)
			}
			return err
		})
		if err != nil {
			c.Fatal(err)
		}
	}
}

func TestNodes_NeedNothingInCommonButRedis(t *testing.T) {
	for _, nodes := range []int{2, 3} {
		t.Run(fmt.Sprint(nodes), func(t *testing.T) { shareOneRedis(t, nodes) })
	}
}

func shareOneRedis(t *testing.T, nodes int) {
	c := startCluster(t, nodes, "")
	const news, counter, late = `{"channel":"StreamChannel","s":["news"]}`, `{"channel":"CounterChannel"}`, `{"channel":"LateChannel"}`

	// A broadcast reaches every browser once, whatever its node.
	browsers := c.connectMany(2*nodes, "/cable?uid=7")
	c.expectSpread(2)
	for _, b := range browsers {
		c.Subscribe(b, news)
	}
	mustAsk(c.Edge, `POST /broadcast {"stream":"news","message":{"n":1}}`)
	mustAsk(c.Edge, `POST /broadcast {"stream":"news","message":{"n":2}}`)
	for _, b := range browsers {
		c.Expect(b, stage.MessageFor(news, `{"n":1}`), stage.MessageFor(news, `{"n":2}`))
	}

	// Connections of one user do not share objects, live or rebuilt.
	count := func(n int) {
		t.Helper()
		for i, b := range browsers {
			c.perform(b, counter, `{"action":"increment"}`, fmt.Sprintf(`{"count":%d,"owner":"1","greeting":"hello "}`, n+i))
		}
	}
	for i, b := range browsers {
		c.Subscribe(b, counter)
		for n := range i {
			c.perform(b, counter, `{"action":"increment"}`, fmt.Sprintf(`{"count":%d,"owner":"1","greeting":"hello "}`, n+1))
		}
	}
	count(1) // live
	for _, b := range browsers {
		c.Subscribe(b, late) // a subscribe makes Rails send the state of all channels
	}
	c.App.Restart(t)
	count(2) // rebuilt
	count(3)

	// What a thread transmits after its command goes to the browser's node and nowhere else.
	for i, b := range browsers {
		b.Send(stage.Command("message", late, fmt.Sprintf(`{"action":"say","n":%d,"s":0.2}`, i)))
	}
	for i, b := range browsers {
		c.Expect(b, stage.MessageFor(late, fmt.Sprintf(`{"late":%d}`, i)))
	}

	// A remote disconnect, by the application or the command line, reaches every node.
	stranger := c.connectBalanced("/cable?uid=8")
	gone := `{"type":"disconnect","reason":"remote","reconnect":true}`
	mustAsk(c.Edge, `POST /disconnect {"uid":7,"tenant":null}`)
	for _, b := range browsers {
		c.Expect(b, gone, "(close 1000)")
	}
	browsers = c.connectMany(nodes, "/cable?uid=7")
	c.Disconnect("--identifier", "gid://app/User/7")
	for _, b := range browsers {
		c.Expect(b, gone, "(close 1000)")
	}
	c.Subscribe(stranger, news) // still connected
}
