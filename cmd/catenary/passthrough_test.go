package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// differsInWhole are the transcripts whose lines for Rails do not hold when catenary relays whole connections.
var differsInWhole = map[string]string{
	"disconnect/stop":           "catenary is stopped, and tells the browsers so",
	"disconnect/deaf-browser":   "catenary does not wait without end for a browser's close frame",
	"frames/hostile":            "catenary itself reads what the browser sends",
	"handshake/bad-handshake":   "catenary itself answers what is no WebSocket handshake",
	"handshake/not-a-websocket": "catenary itself answers what is no WebSocket handshake",
	"handshake/path":            "catenary serves the exact path",
}

// TestPassThrough_IsAnInvisibleProxyForAnAppWithoutTheGem plays the transcripts, as Rails itself answers them, through a
// catenary that relays everything. Where Redis is, it is not told.
func TestPassThrough_IsAnInvisibleProxyForAnAppWithoutTheGem(t *testing.T) {
	var mu sync.Mutex
	started := map[string]func() (*world, error){}
	t.Cleanup(func() {
		for _, start := range started {
			if w, err := start(); err == nil {
				w.close()
			}
		}
	})
	shared := func(kind string) (*world, error) {
		mu.Lock()
		if started[kind] == nil {
			started[kind] = sync.OnceValues(func() (*world, error) { return startPassing(kind, false, "all") })
		}
		start := started[kind]
		mu.Unlock()
		return start()
	}
	atOnce := make(chan struct{}, 8)
	played := 0
	t.Run("transcripts", func(t *testing.T) {
		for _, tr := range readTranscripts(t, projectRoot+"/testdata/transcripts") {
			if tr.only == "catenary" || !tr.needs.holds(railsVersion()) || differsInWhole[tr.name] != "" {
				continue
			}
			played++
			t.Run(tr.name, func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				find := shared
				if tr.world == "own" {
					find = func(kind string) (*world, error) { return startPassing(kind, false, "all") }
				}
				w, err := find(tr.world)
				if err != nil {
					t.Fatal(err)
				}
				if tr.world == "own" {
					defer w.close()
				}
				(&conversation{world: w, browsers: map[string]*browser{}}).play(t, tr.stepsFor("rails", railsVersion()))
			})
		}
	})
	t.Logf("%d transcripts", played)
}

// startPassing starts an application and a catenary that passes channels through to it.
func startPassing(kind string, withGem bool, channels string) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.redis, err = startRedis(); err != nil {
		return w, err
	}
	if w.app, err = startApp("lab", withGem, append(slices.Clone(worlds[kind]), "REDIS_URL="+w.redis.url())...); err != nil {
		return w, err
	}
	// As in startWorld: two first connections at once can make Rails ping everybody twice.
	if first, err := dial(w.app.address, handshake("GET", "/cable", w.app.address, nil)); err == nil {
		first.close()
	}
	if w.catenary, err = startCatenary(w.app, "--pass-through", channels); err != nil {
		return w, err
	}
	w.address = w.catenary.address
	return w, nil
}

// passing is a world of the test's own.
func passing(t *testing.T, withGem bool, channels string) *world {
	t.Helper()
	t.Parallel()
	w, err := startPassing("", withGem, channels)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

// says plays steps, written as in a transcript.
func (w *world) says(t *testing.T, c *conversation, lines string) {
	t.Helper()
	tr, err := parseTranscript(t.Name(), "# case 0\n"+lines)
	if err != nil {
		t.Fatal(err)
	}
	steps := tr.stepsFor("catenary", railsVersion())
	for i := range steps {
		if err := c.take(steps[i : i+1]); err != nil {
			t.Fatalf("%s> %s\n%v\n%s", steps[i].speaker, short(steps[i].text), err, w.catenary.process.output.tail())
		}
	}
}

func (w *world) conversation(t *testing.T) *conversation {
	c := &conversation{world: w, browsers: map[string]*browser{}, last: time.Now()}
	t.Cleanup(func() {
		for _, b := range c.browsers {
			b.close()
		}
	})
	return c
}

func TestPassThrough_RelaysOneChannelAndServesTheRest(t *testing.T) {
	w := passing(t, true, "CbChannel")
	c := w.conversation(t)
	w.says(t, c, `
browser> GET /cable?uid=9001
server> {"type":"welcome"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}
server> {"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}
app> events of user 9001
  connect
  subscribed {"channel":"EchoChannel"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"CbChannel\"}"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"CbChannel\"}"}
server> {"identifier":"{\"channel\":\"CbChannel\"}","type":"confirm_subscription"}
app> events of user 9001
  connect
  subscribed {"channel":"EchoChannel"}
  connect
  subscribed {"channel":"CbChannel"}
redis> PUBLISH cb_raw not JSON
server> {"identifier":"{\"channel\":\"CbChannel\"}","message":{"raw":"not JSON"}}
browser> {"command":"message","identifier":"{\"channel\":\"EchoChannel\"}","data":"{\"action\":\"echo\",\"x\":1}"}
server> {"identifier":"{\"channel\":\"EchoChannel\"}","message":{"action":"echo","x":1}}
`)
	if statistics, err := w.app.request("GET", "/statistics", ""); err != nil || strings.Count(statistics, "CbChannel") != 1 {
		t.Errorf("Rails' own server holds %s (%v)", statistics, err)
	}
	w.says(t, c, `
browser> {"command":"unsubscribe","identifier":"{\"channel\":\"CbChannel\"}"}
(wait 300ms)
redis> PUBLISH cb_raw 1
server> (quiet)
browser> (close 1000)
server> (close 1000)
`)
	// Two connections end in Rails, neither of which waits for the other.
	want := []string{"connect", "connect", "disconnect", "disconnect", `subscribed {"channel":"CbChannel"}`, `subscribed {"channel":"EchoChannel"}`,
		`unsubscribed {"channel":"CbChannel"}`, `unsubscribed {"channel":"EchoChannel"}`}
	if err := w.app.process.waitFor(patience, func() error {
		got, err := w.app.events("9001", false)
		if slices.Sort(got); err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestPassThrough_ResumesWhenPumaIsRestarted(t *testing.T) {
	w := passing(t, true, "CbChannel")
	c := w.conversation(t)
	w.says(t, c, `
browser> GET /cable
server> {"type":"welcome"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}
server> {"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"CbChannel\"}"}
server> {"identifier":"{\"channel\":\"CbChannel\"}","type":"confirm_subscription"}
`)
	w.app.restart(t)
	topic := "cb_raw"
	if err := w.app.process.waitFor(10*time.Second, func() error { return w.redis.do("PUBSUB NUMSUB " + topic + " => 1") }); err != nil {
		t.Fatal(err)
	}
	w.says(t, c, `
redis> PUBLISH cb_raw after
server> {"identifier":"{\"channel\":\"CbChannel\"}","message":{"raw":"after"}}
browser> {"command":"message","identifier":"{\"channel\":\"EchoChannel\"}","data":"{\"action\":\"echo\",\"x\":1}"}
server> {"identifier":"{\"channel\":\"EchoChannel\"}","message":{"action":"echo","x":1}}
`)
}

func TestPassThrough_EndsWithARemoteDisconnect(t *testing.T) {
	w := passing(t, true, "CbChannel")
	w.says(t, w.conversation(t), `
browser> GET /cable?uid=9002
server> {"type":"welcome"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"CbChannel\"}"}
server> {"identifier":"{\"channel\":\"CbChannel\"}","type":"confirm_subscription"}
app> POST /disconnect {"uid":9002,"tenant":null}
server?> {"type":"disconnect","reason":"remote","reconnect":true}
server> (close 1000)
server> (end)
`)
}

func TestPassThrough_TellsBrowsersToReconnectWhenPumaIsStopped(t *testing.T) {
	w := passing(t, false, "all")
	c := w.conversation(t)
	w.says(t, c, `
browser> GET /cable
server> {"type":"welcome"}
`)
	w.app.process.signal(syscall.SIGTERM)
	w.says(t, c, `
server> {"type":"disconnect","reason":"server_restart","reconnect":true}
server> (close 1000)
server> (end)
`)
	<-w.app.process.ended
	if err := w.app.up(); err != nil {
		t.Fatal(err)
	}
	w.says(t, c, `
browser again> GET /cable
server again> {"type":"welcome"}
`)
}

func TestPassThrough_AnswersHandshakesAsTheAppDoes(t *testing.T) {
	w := passing(t, false, "all")
	b, err := dial(w.address, handshake("GET", "/cable", w.address, []string{"Origin: http://evil.example"}))
	if err != nil || b.response.StatusCode != http.StatusNotFound || b.body != "Page not found" {
		t.Errorf("got %v %q %v", b.response.Status, b.body, err)
	}
}

func TestPassThrough_IsSuggestedToWhoHasNoGem(t *testing.T) {
	t.Parallel()
	w := &world{}
	defer w.close()
	var err error
	if w.redis, err = startRedis(); err != nil {
		t.Fatal(err)
	}
	if w.app, err = startApp("lab", false, "REDIS_URL="+w.redis.url()); err != nil {
		t.Fatal(err)
	}
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	p, err := start(t.TempDir(), []string{"SECRET_KEY_BASE=" + secretKeyBase}, path, "--backend-url", w.app.url(), "--listen", freeAddress(), "--operations-listen", "off")
	if err != nil {
		t.Fatal(err)
	}
	defer p.kill()
	if err := p.waitFor(15*time.Second, func() error { return says(p, "--pass-through all") }); err != nil {
		t.Error(err)
	}
}
