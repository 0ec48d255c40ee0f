package rails

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Behind catenary browsers stay connected when Rails restarts: a process that has not seen them
// subscribe sees them unsubscribe. With `backend.restart: reconnect` all browsers reconnect, as
// natively.
func TestRestart_CountersInAProcessNeedBrowsersToReconnect(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]struct{ restarted, left, callbacks string }{
		"rails":     {restarted: `{"hall":30}`, left: `{"hall":0}`, callbacks: "60 subscribed, 30 unsubscribed"},
		"reconnect": {restarted: `{"hall":30}`, left: `{"hall":0}`, callbacks: "60 subscribed, 30 unsubscribed"},
		"catenary":  {restarted: `{}`, left: `{"hall":-30}`, callbacks: "30 subscribed, 30 unsubscribed"},
	} {
		for _, how := range []string{"stopped", "killed"} {
			t.Run(server+" "+how, func(t *testing.T) {
				t.Parallel()
				w, err := stage.StartWorld(server, "in order", "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(w.Close)
				all := &crowd{t: t, world: w, browsers: make([]*stage.Browser, 30)}
				all.connect()
				all.expectHeadcount(`{"hall":30}`)
				all.awaitHandover()

				if how == "stopped" {
					w.App.Restart(t)
				} else {
					w.App.Process.Kill()
					if err := w.App.Up(); err != nil {
						t.Fatal(err)
					}
				}
				if server != "catenary" {
					all.expectReconnect()
					all.connect()
				}
				all.expectHeadcount(want.restarted)
				all.unsubscribe()
				all.expectHeadcount(want.left)
				all.expectCallbacks(want.callbacks)
			})
		}
	}
}

// All states together are larger than a frame of a link may be.
func TestRestart_AllCallbacksRunWhateverTheSizeOfTheState(t *testing.T) {
	t.Parallel()
	const browsers, channels = 50, 14
	w, err := stage.StartWorld("catenary", "", "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	app := realApp{World: w, t: t}
	var all []*visitor
	for range browsers {
		v := app.visitor("", `{"channel":"CounterChannel","notes":45000}`)
		for n := 1; n < channels; n++ {
			v.browser.Send(stage.Command("subscribe", fmt.Sprintf(`{"channel":"CounterChannel","notes":45000,"n":%d}`, n), nil))
		}
		all = append(all, v)
	}
	for _, v := range all {
		if _, err := v.browser.Fence(); err != nil {
			t.Fatal(err)
		}
	}
	w.App.Restart(t)
	for _, v := range all {
		v.browser.Close()
	}
	ran := 0
	if !stage.Await(func() bool {
		events, err := w.App.Events("1", stage.Events)
		if err != nil {
			t.Fatal(err)
		}
		ran = len(slices.DeleteFunc(events, func(event string) bool { return !strings.HasPrefix(event, "unsubscribed") }))
		return ran == browsers*channels
	}) {
		t.Errorf("unsubscribed ran %d times of %d:\n%s", ran, browsers*channels, w.Catenary.Process.Output.Tail())
	}
}

// A crowd is a number of browsers in one room of HeadcountChannel.
type crowd struct {
	t        *testing.T
	world    *stage.World
	browsers []*stage.Browser
}

const headcountIdentifier = `{"channel":"HeadcountChannel","room":"hall"}`

func (c *crowd) connect() {
	c.t.Helper()
	for i := range c.browsers {
		b, err := stage.Dial(c.world.Address, stage.Handshake("GET", "/cable", c.world.Address, nil))
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(b.Close)
		c.browsers[i] = b
	}
	for _, want := range []string{stage.Welcome, stage.Confirmation(headcountIdentifier)} {
		for _, b := range c.browsers {
			if e, ok := stage.NextFrame(b); !ok || e.Text != want {
				c.t.Fatalf("got %s, want %s", e, want)
			}
			if want == stage.Welcome {
				b.Send(stage.Command("subscribe", headcountIdentifier, nil))
			}
		}
	}
}

// expectReconnect expects each browser to get a disconnect, or natively only the end of its
// connection.
func (c *crowd) expectReconnect() {
	c.t.Helper()
	for _, b := range c.browsers {
		e, ok := stage.NextFrame(b)
		if c.world.Catenary != nil {
			if e.Text != `{"type":"disconnect","reason":"server_restart","reconnect":true}` {
				c.t.Fatalf("got %s", e)
			}
			e, ok = stage.NextFrame(b)
		}
		if !ok || e.Kind == "text" {
			c.t.Fatalf("the connection goes on: %s", e)
		}
		b.Close()
	}
}

// awaitHandover waits until catenary has the state of all connections.
func (c *crowd) awaitHandover() {
	c.t.Helper()
	if c.world.Catenary == nil {
		return
	}
	e := &stage.Edge{T: c.t, Nodes: []*stage.Catenary{c.world.Catenary}}
	if !stage.Await(func() bool { return e.Scrape().Gauge("catenary_connections_stale") == 0 }) {
		c.t.Fatal("Rails does not hand over the state")
	}
}

func (c *crowd) unsubscribe() {
	for _, b := range c.browsers {
		b.Send(stage.Command("unsubscribe", headcountIdentifier, nil))
	}
}

func (c *crowd) expectHeadcount(want string) {
	c.t.Helper()
	var got string
	var err error
	if !stage.Await(func() bool {
		got, err = c.world.App.Request("GET", "/headcount", "")
		return err == nil && got == want
	}) {
		c.t.Fatalf("the headcount is %s, want %s: %v", got, want, err)
	}
}

// expectCallbacks counts the callbacks that have run in all processes, old and new.
func (c *crowd) expectCallbacks(want string) {
	c.t.Helper()
	var got string
	if !stage.Await(func() bool {
		events, err := c.world.App.Events("1", stage.Events)
		if err != nil {
			c.t.Fatal(err)
		}
		ran := map[string]int{}
		for _, event := range events {
			ran[event]++
		}
		got = fmt.Sprintf("%d subscribed, %d unsubscribed", ran["subscribed "+headcountIdentifier], ran["unsubscribed "+headcountIdentifier])
		return got == want
	}) {
		c.t.Fatalf("ran %s, want %s", got, want)
	}
}
