package edge

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// differsInWhole are transcripts that play differently when catenary relays whole connections.
var differsInWhole = map[string]string{
	"disconnect/stop":           "catenary is stopped and disconnects the browsers",
	"disconnect/deaf-browser":   "catenary does not wait forever for a browser's close frame",
	"frames/hostile":            "catenary itself reads what the browser sends",
	"handshake/bad-handshake":   "catenary itself answers invalid handshakes",
	"handshake/not-a-websocket": "catenary itself answers invalid handshakes",
	"handshake/path":            "catenary serves the exact path",
}

// A catenary that relays everything plays the transcripts as Rails does. It does not know where
// Redis is.
func TestPassThrough_PlaysLikeRailsForAnAppWithoutTheGem(t *testing.T) {
	t.Parallel()
	worlds := stage.SharedWorlds[string]{
		Start: func(kind string) (*stage.World, error) { return startPassing(kind, false, "all") },
	}
	atOnce := make(chan struct{}, 8)
	played := 0
	t.Run("transcripts", func(t *testing.T) {
		for _, tr := range stage.ReadTranscripts(t, stage.ProjectRoot+"/testdata/transcripts") {
			if tr.Only == "catenary" || !tr.Needs.Holds(stage.RailsVersion()) || differsInWhole[tr.Name] != "" {
				continue
			}
			played++
			t.Run(tr.Name, func(t *testing.T) {
				t.Parallel()
				atOnce <- struct{}{}
				defer func() { <-atOnce }()
				(&stage.Conversation{World: worlds.FindFor(t, tr.World, tr), Browsers: map[string]*stage.Browser{}}).Play(t, tr.StepsFor("rails", stage.RailsVersion()))
			})
		}
	})
	t.Logf("%d transcripts", played)
}

// startPassing starts an application, and a catenary that passes these channels through to it.
func startPassing(kind string, withGem bool, channels string) (w *stage.World, err error) {
	w = &stage.World{}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.Redis, err = stage.StartRedis(); err != nil {
		return w, err
	}
	if w.App, err = stage.StartApp("lab", withGem, append(slices.Clone(stage.Worlds[kind]), "REDIS_URL="+w.Redis.URL())...); err != nil {
		return w, err
	}
	if err = w.App.WarmUpCable(); err != nil {
		return w, err
	}
	if w.Catenary, err = stage.StartCatenary(w.App, "--pass-through", channels); err != nil {
		return w, err
	}
	w.Address = w.Catenary.Address
	return w, nil
}

// passing starts a world for one test.
func passing(t *testing.T, withGem bool, channels string) *stage.World {
	t.Helper()
	t.Parallel()
	w, err := startPassing("", withGem, channels)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// play plays transcript lines.
func play(w *stage.World, t *testing.T, c *stage.Conversation, lines string) {
	t.Helper()
	tr, err := stage.ParseTranscript(t.Name(), "# case 0\n"+lines)
	if err != nil {
		t.Fatal(err)
	}
	steps := tr.StepsFor("catenary", stage.RailsVersion())
	for i := range steps {
		if err := c.Take(steps[i : i+1]); err != nil {
			t.Fatalf("%s> %s\n%v\n%s", steps[i].Speaker, stage.Short(steps[i].Text), err, w.Catenary.Process.Output.Tail())
		}
	}
}

func conversation(w *stage.World, t *testing.T) *stage.Conversation {
	c := &stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}
	t.Cleanup(func() {
		for _, b := range c.Browsers {
			b.Close()
		}
	})
	return c
}

func TestPassThrough_RelaysOneChannelAndServesTheRest(t *testing.T) {
	w := passing(t, true, "CbChannel")
	c := conversation(w, t)
	play(w, t, c, `
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
	if statistics, err := w.App.Request("GET", "/statistics", ""); err != nil || strings.Count(statistics, "CbChannel") != 1 {
		t.Errorf("Rails' own server has %s (%v)", statistics, err)
	}
	play(w, t, c, `
browser> {"command":"unsubscribe","identifier":"{\"channel\":\"CbChannel\"}"}
redis> PUBSUB NUMSUB cb_raw => 0
redis> PUBLISH cb_raw 1
server> (quiet)
browser> (close 1000)
server> (close 1000)
`)
	// Two connections are closed in Rails, in any order.
	want := []string{"connect", "connect", "disconnect", "disconnect", `subscribed {"channel":"CbChannel"}`, `subscribed {"channel":"EchoChannel"}`,
		`unsubscribed {"channel":"CbChannel"}`, `unsubscribed {"channel":"EchoChannel"}`}
	if err := w.App.Process.WaitFor(func() error {
		got, err := w.App.Events("9001", stage.Events)
		slices.Sort(got)
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("got %q", got)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func TestPassThrough_ResumesAfterARestartOfPuma(t *testing.T) {
	w := passing(t, true, "CbChannel")
	c := conversation(w, t)
	play(w, t, c, `
browser> GET /cable
server> {"type":"welcome"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}
server> {"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}
browser> {"command":"subscribe","identifier":"{\"channel\":\"CbChannel\"}"}
server> {"identifier":"{\"channel\":\"CbChannel\"}","type":"confirm_subscription"}
`)
	w.App.Restart(t)
	topic := "cb_raw"
	if err := w.App.Process.WaitFor(func() error { return w.Redis.Do("PUBSUB NUMSUB " + topic + " => 1") }); err != nil {
		t.Fatal(err)
	}
	play(w, t, c, `
redis> PUBLISH cb_raw after
server> {"identifier":"{\"channel\":\"CbChannel\"}","message":{"raw":"after"}}
browser> {"command":"message","identifier":"{\"channel\":\"EchoChannel\"}","data":"{\"action\":\"echo\",\"x\":1}"}
server> {"identifier":"{\"channel\":\"EchoChannel\"}","message":{"action":"echo","x":1}}
`)
}

func TestPassThrough_ClosesOnARemoteDisconnect(t *testing.T) {
	w := passing(t, true, "CbChannel")
	play(w, t, conversation(w, t), `
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

func TestPassThrough_MakesBrowsersReconnectWhenPumaIsStopped(t *testing.T) {
	w := passing(t, false, "all")
	c := conversation(w, t)
	play(w, t, c, `
browser> GET /cable
server> {"type":"welcome"}
`)
	w.App.Process.Signal(syscall.SIGTERM)
	play(w, t, c, `
server> {"type":"disconnect","reason":"server_restart","reconnect":true}
server> (close 1000)
server> (end)
`)
	<-w.App.Process.Exited
	if err := w.App.Up(); err != nil {
		t.Fatal(err)
	}
	play(w, t, c, `
browser again> GET /cable
server again> {"type":"welcome"}
`)
}

func TestPassThrough_AnswersHandshakesAsTheAppDoes(t *testing.T) {
	w := passing(t, false, "all")
	b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, []string{"Origin: http://evil.example"}))
	if err != nil || b.Response.StatusCode != http.StatusNotFound || b.Body != "Page not found" {
		t.Errorf("got %v %q %v", b.Response.Status, b.Body, err)
	}
}

func TestPassThrough_IsSuggestedWhenTheGemIsMissing(t *testing.T) {
	t.Parallel()
	w := &stage.World{}
	defer w.Close()
	var err error
	if w.Redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	if w.App, err = stage.StartApp("lab", false, "REDIS_URL="+w.Redis.URL()); err != nil {
		t.Fatal(err)
	}
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	p, err := stage.Start(t.TempDir(), []string{"SECRET_KEY_BASE=" + stage.SecretKeyBase}, path, "--backend-url", w.App.URL(), "--listen", stage.FreeAddress(), "--operations-listen", "off")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	if err := p.WaitFor(func() error { return stage.Wrote(p, "--pass-through all") }); err != nil {
		t.Error(err)
	}
}
