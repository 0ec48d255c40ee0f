package deploy

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Two nodes are tested behind nginx and HAProxy in TestRollingRestart, three in TestNodes.
func TestScaling_ThirtyNodesShareOneRails(t *testing.T) {
	t.Parallel()
	const nodes = 30
	e := stage.StartEdgeOn(t, 0, []string{"LAB_DISABLE_FORGERY_PROTECTION=true", "WEB_CONCURRENCY=2"}, "")
	release := stage.BootTurn()
	for range nodes {
		e.AddNode(e.App)
	}
	release()
	var browsers []*stage.Browser
	for node := range nodes {
		e.WaitForMetric(node, "catenary_rails_processes 2")
		b := e.Connect(node, "/cable?uid=7")
		e.Expect(b, stage.Welcome)
		e.Subscribe(b, news)
		browsers = append(browsers, b)
	}
	if err := e.App.Ask(`POST /broadcast {"stream":"news","message":{"n":1}}`); err != nil {
		t.Fatal(err)
	}
	for _, b := range browsers {
		e.Expect(b, stage.MessageFor(news, `{"n":1}`))
	}

	// Puma answers pages while commands of all nodes run: none of these ends before the test does.
	t.Cleanup(e.App.Process.Kill)
	for _, b := range browsers {
		e.Subscribe(b, echoes)
	}
	for _, b := range browsers {
		b.Send(stage.Command("message", echoes, `{"action":"slow","s":600}`))
	}
	if err := e.App.Ask("GET /up"); err != nil {
		t.Error(err)
	}
	e.Disconnect("--identifier", "gid://app/User/7")
	for _, b := range browsers {
		e.Expect(b, `{"type":"disconnect","reason":"remote","reconnect":true}`)
	}
}

// A shard has a Redis of its own, or a prefix in a shared Redis.
func TestScaling_ShardsShareNothing(t *testing.T) {
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprintf("one Redis %t", shared), func(t *testing.T) {
			t.Parallel()
			a := startShard(t, "a", nil)
			redis := a.Redis
			if !shared {
				redis = nil
			}
			b := startShard(t, "b", redis)
			sites := stage.Sample(t, "nginx.conf", "proxy_pass http://cable;", "proxy_pass http://$shard;")
			address := startNginx(t, strings.NewReplacer("10.0.1.1:8080", a.Address, "10.0.2.1:8080", b.Address).
				Replace(block(t, "upstream shard_a", "upstream shard_b", "map $host")+sites))
			inA := connectTo(t, address, "/cable?uid=7", "Host: acme.example")
			inB := connectTo(t, address, "/cable?uid=7", "Host: initech.example")
			inA.subscribe(news)
			inB.subscribe(news)

			ask(t, a.App, `POST /broadcast {"stream":"news","message":"to a"}`)
			ask(t, b.App, `POST /broadcast {"stream":"news","message":"to b"}`)
			inA.expect(stage.MessageFor(news, `"to a"`))
			inB.expect(stage.MessageFor(news, `"to b"`))

			ask(t, a.App, `POST /disconnect {"uid":7,"tenant":null}`)
			inA.expect(`{"type":"disconnect","reason":"remote","reconnect":true}`)
			ask(t, b.App, `POST /broadcast {"stream":"news","message":"still here"}`)
			inB.expect(stage.MessageFor(news, `"still here"`))

			if !shared {
				a.Redis.Close()
				ask(t, b.App, `POST /broadcast {"stream":"news","message":"without a"}`)
				inB.expect(stage.MessageFor(news, `"without a"`))
			}
		})
	}
}

// startShard starts an app and catenary in front of it. Both read the page's cable.yml.
func startShard(t *testing.T, name string, redis *stage.Redis) *stage.World {
	t.Helper()
	w := &stage.World{Redis: redis}
	var err error
	if redis == nil {
		if w.Redis, err = stage.StartRedis(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Redis.Close)
	}
	w.App = startApp(t, "REDIS_URL="+w.Redis.URL(), "LAB_CHANNEL_PREFIX="+name)
	root := stage.RootWith(t, "config/cable.yml", block(t, "production:"))
	w.Catenary = stage.Launch(t, slices.Concat(stage.WithSecret, []string{"REDIS_URL=" + w.Redis.URL(), "SHARD=" + name}),
		"--root", root, "--environment", "production", "--backend-url", w.App.URL())
	if err := w.Catenary.Process.WaitFor(w.Catenary.Ready); err != nil {
		t.Fatal(err)
	}
	w.Address = w.Catenary.Address
	return w
}

func TestScaling_ProcessesServeSomeChannels(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	start := func(env ...string) *stage.Catenary {
		app := startApp(t, append(env, "REDIS_URL="+redis.URL())...)
		t.Cleanup(app.Process.Kill) // its commands take long
		c, err := stage.StartCatenary(app)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Process.Kill)
		return c
	}
	rooms := start("LAB_CHANNELS=StreamChannel,OrderChannel")
	devices := start("LAB_CHANNELS=EchoChannel", "LAB_MOUNT_PATH=/devices", "LAB_WORKERS=1")

	sites := stage.Sample(t, "nginx.conf", "10.0.0.1:8080", rooms.Address, "server 10.0.0.2:8080 max_fails=0;", "")
	location := sites[strings.Index(sites, "  location /cable {"):strings.LastIndex(sites, "}")]
	sites = strings.Replace(sites, location, location+strings.NewReplacer("/cable", "/devices", "http://cable", "http://devices").Replace(location), 1)
	address := startNginx(t, "upstream devices { server "+devices.Address+" max_fails=0; }\n"+sites)

	room, meter := connectTo(t, address, "/cable"), connectTo(t, address, "/devices")
	room.subscribe(news)
	meter.subscribe(echoes)
	room.Send(stage.Command("subscribe", echoes, nil))
	room.expect(rejection(echoes))
	meter.Send(stage.Command("subscribe", news, nil))
	meter.expect(rejection(news))

	// Devices that keep their processes busy do not delay rooms, and broadcasts reach both.
	meter.Send(stage.Command("message", echoes, `{"action":"follow","s":"news"}`))
	meter.Send(stage.Command("message", echoes, `{"action":"num"}`))
	meter.expect(stage.MessageFor(echoes, "42"))
	meter.Send(stage.Command("message", echoes, `{"action":"slow","s":600}`))
	const order = `{"channel":"OrderChannel","s":"news"}`
	room.subscribe(order)
	room.Send(stage.Command("message", order, `{"action":"speak","n":1}`))
	room.expectAll(stage.MessageFor(order, `{"ack":1}`), stage.MessageFor(order, `{"said":1}`), stage.MessageFor(news, `{"said":1}`))
	meter.expect(stage.MessageFor(echoes, `{"said":1}`))
}

// docs/scaling.md shows the lab's code, with other names of environment variables.
func TestScaling_ThePageShowsTheCodeThatIsTested(t *testing.T) {
	t.Parallel()
	page := stage.ReadDoc(t, "scaling.md")
	for file, first := range map[string]string{"application_cable/channel.rb": "    before_subscribe do\n", "limited_channel.rb": "class"} {
		code, err := os.ReadFile(stage.ProjectRoot + "/testdata/lab/app/channels/" + file)
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(code), first)
		text, _, _ := strings.Cut(first+rest, "\n\n    before_subscribe ")
		if first == "class" {
			text = indent(text)
		}
		if text = strings.ReplaceAll(text, "LAB_", "CABLE_"); !strings.Contains(page, text) {
			t.Errorf("docs/scaling.md does not contain this of %s:\n%s", file, text)
		}
	}
}

func indent(code string) string {
	var text strings.Builder
	for line := range strings.Lines(strings.TrimSuffix(code, "\n")) {
		if line != "\n" {
			text.WriteString("    ")
		}
		text.WriteString(line)
	}
	return text.String()
}

// With two nodes and two Rails processes. Natively more than twenty pass.
func TestScaling_LimitsAndSequencesAreExact(t *testing.T) {
	t.Parallel()
	e := stage.StartEdgeOn(t, 2, []string{"LAB_DISABLE_FORGERY_PROTECTION=true", "WEB_CONCURRENCY=2"}, "")
	const limited = `{"channel":"LimitedChannel","room":"lobby"}`
	speaker, listener := e.Connect(0, "/cable"), e.Connect(1, "/cable")
	for _, b := range []*stage.Browser{speaker, listener} {
		e.Expect(b, stage.Welcome)
		e.Subscribe(b, limited)
	}
	for n := range 30 {
		speaker.Send(stage.Command("message", limited, fmt.Sprintf(`{"action":"speak","text":"%d"}`, n+1)))
	}
	refused := stage.MessageFor(limited, `{"error":"slow down"}`)
	for range 10 {
		for got := ""; got != refused; { // the broadcasts come from Redis, before or after
			frame, ok := stage.NextFrame(speaker)
			if got = frame.Text; !ok {
				t.Fatalf("got %s, want %s", frame, refused)
			}
		}
	}
	for n := range 20 {
		e.Expect(listener, stage.MessageFor(limited, fmt.Sprintf(`{"number":%d,"text":"%[1]d"}`, n+1)))
	}
	e.Broadcast("lobby", "the end")
	e.Expect(listener, stage.MessageFor(limited, `"the end"`))
}

const echoes = `{"channel":"EchoChannel"}`

func rejection(identifier string) string {
	return fmt.Sprintf(`{"identifier":%q,"type":"reject_subscription"}`, identifier)
}

// startApp starts the lab without its check of origins.
func startApp(t *testing.T, env ...string) *stage.App {
	t.Helper()
	app, err := stage.StartApp("lab", true, append(env, "LAB_DISABLE_FORGERY_PROTECTION=true")...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	return app
}

func ask(t *testing.T, app *stage.App, text string) {
	t.Helper()
	if err := app.Ask(text); err != nil {
		t.Fatal(err)
	}
}

// A page is a browser's connection through a proxy.
type page struct {
	*stage.Browser
	t *testing.T
}

func connectTo(t *testing.T, address, path string, changes ...string) page {
	t.Helper()
	b, err := stage.Dial(address, stage.Handshake("GET", path, address, changes))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	p := page{b, t}
	p.expect(stage.Welcome)
	return p
}

func (p page) subscribe(identifier string) {
	p.t.Helper()
	p.Send(stage.Command("subscribe", identifier, nil))
	p.expect(stage.Confirmation(identifier))
}

func (p page) expect(want string) {
	p.t.Helper()
	if got, ok := stage.NextFrame(p.Browser); !ok || got.Text != want {
		p.t.Fatalf("got %s, want %s", got, want)
	}
}

// expectAll expects frames in any order.
func (p page) expectAll(want ...string) {
	p.t.Helper()
	var got []string
	for range want {
		frame, _ := stage.NextFrame(p.Browser)
		got = append(got, frame.Text)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		p.t.Fatalf("got %q, want %q", got, want)
	}
}

// block returns the blocks of code of docs/scaling.md that begin with these words, without their
// indentation and with comments.
func block(t *testing.T, beginnings ...string) string {
	t.Helper()
	var text strings.Builder
	for _, beginning := range beginnings {
		_, rest, found := strings.Cut(stage.ReadDoc(t, "scaling.md"), "\n    "+beginning)
		if !found {
			t.Fatalf("docs/scaling.md has no %s", beginning)
		}
		rest, _, _ = strings.Cut(rest, "\n\n")
		text.WriteString(beginning + strings.ReplaceAll(rest, "\n    ", "\n") + "\n")
	}
	return text.String()
}

// startNginx starts nginx with these blocks and returns the address at which it listens.
func startNginx(t *testing.T, sites string) string {
	t.Helper()
	address, folder := stage.FreeAddress(), t.TempDir()
	command := stage.Nginx(t, folder, strings.Replace(sites, "listen 80;", "listen "+address+";", 1))
	proxy, err := stage.StartCommand(command)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Kill)
	if err := proxy.WaitFor(func() error {
		b, err := stage.Dial(address, stage.Handshake("GET", "/", address, nil))
		if err == nil {
			b.Close()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return address
}
