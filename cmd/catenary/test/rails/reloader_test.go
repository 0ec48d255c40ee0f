package rails

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// In development an edited channel takes effect at the next command, on the same connection;
// natively the browser is disconnected. The channel keeps its state. Only browsers that have a
// stream with a block must reconnect.
func TestReloader_AnEditedChannelTakesEffectAtTheNextCommand(t *testing.T) {
	t.Parallel()
	lab := copyLab(t)
	w := &stage.World{}
	t.Cleanup(w.Close)
	var err error
	if w.Redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Rel(stage.ProjectRoot+"/testdata", lab)
	if err != nil {
		t.Fatal(err)
	}
	if w.App, err = stage.StartApp(folder, true, "LAB_RELOAD=true", "REDIS_URL="+w.Redis.URL()); err != nil {
		t.Fatal(err)
	}
	if w.Catenary, err = stage.StartCatenary(w.App); err != nil {
		t.Fatal(err)
	}
	w.Address = w.Catenary.Address
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", w.App.Process.Output.Tail(), w.Catenary.Process.Output.Tail())
		}
	})

	const counter, stream = `{\"channel\":\"CounterChannel\",\"owner\":7}`, `{\"channel\":\"StreamChannel\",\"s\":\"news\"}`
	c := &stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}
	subscribe := func(identifier string) {
		t.Helper()
		c.MustPlay(t, `browser> {"command":"subscribe","identifier":"`+identifier+`"}`,
			`server> {"identifier":"`+identifier+`","type":"confirm_subscription"}`)
	}
	count := func(n int, greeting string) {
		t.Helper()
		c.MustPlay(t, `browser> {"command":"message","identifier":"`+counter+`","data":"{\"action\":\"increment\"}"}`,
			fmt.Sprintf(`server> {"identifier":"%s","message":{"count":%d,"owner":"7","greeting":%q}}`, counter, n, greeting))
	}
	fetched := 0
	fetch := func() { // a new subscription makes Rails send the state of all channels at once, not later
		t.Helper()
		fetched++
		subscribe(fmt.Sprintf(`{\"channel\":\"EchoChannel\",\"n\":%d}`, fetched))
	}
	c.MustPlay(t, "browser> GET /cable?uid=7&tenant=acme", `server> {"type":"welcome"}`)
	subscribe(counter)
	subscribe(stream)
	count(1, "hello acme")
	fetch()

	// A block is lost with its class.
	const block = `{\"channel\":\"CbChannel\"}`
	c.MustPlay(t, "browser block> GET /cable?uid=8", `server block> {"type":"welcome"}`, `browser block> {"command":"subscribe","identifier":"`+block+`"}`,
		`server block> {"identifier":"`+block+`","type":"confirm_subscription"}`, "redis> PUBLISH cb_raw 1", `server block> {"identifier":"`+block+`","message":{"raw":"1"}}`)

	file := filepath.Join(lab, "app/channels/counter_channel.rb")
	edit(t, file, "greeting: @greeting", `greeting: "edited for #{user.id} of #{tenant}"`)
	count(2, "edited for 7 of acme")
	count(3, "edited for 7 of acme")
	fetch()
	c.MustPlay(t, "redis> PUBLISH cb_raw 2", `server block> {"type":"disconnect","reason":"server_restart","reconnect":true}`)

	// Code that does not parse: the browser must reconnect, and finds the code repaired.
	edit(t, file, "@count += 1", "@count += )")
	c.MustPlay(t, `browser> {"command":"message","identifier":"`+counter+`","data":"{\"action\":\"increment\"}"}`,
		`server> {"type":"disconnect","reason":"server_restart","reconnect":true}`, "server> (close 1000)", "server> (end)")
	edit(t, file, "@count += )", "@count += 10")
	c.MustPlay(t, "browser> GET /cable?uid=7&tenant=acme", `server> {"type":"welcome"}`)
	subscribe(counter)
	subscribe(stream)
	count(10, "edited for 7 of acme")
	fetch()

	// A new channel, and a channel that is edited while no command comes; its stream goes on.
	edit(t, filepath.Join(lab, "app/channels/stream_channel.rb"), "sleep params", "sleep 0 * params")
	c.MustPlay(t, `app> POST /broadcast {"stream":"news","message":1}`, `server> {"identifier":"`+stream+`","message":1}`)
	os.WriteFile(filepath.Join(lab, "app/channels/fresh_channel.rb"),
		[]byte("class FreshChannel < ApplicationCable::Channel\n  def subscribed = transmit({ fresh: true })\nend\n"), 0o644)
	const fresh = `{\"channel\":\"FreshChannel\"}`
	c.MustPlay(t, `browser> {"command":"subscribe","identifier":"`+fresh+`"}`, `server> {"identifier":"`+fresh+`","message":{"fresh":true}}`,
		`server> {"identifier":"`+fresh+`","type":"confirm_subscription"}`)

	// The connection class is edited.
	edit(t, filepath.Join(lab, "app/channels/application_cable/connection.rb"), `record "disconnect"`, `record "edited disconnect"`)
	c.MustPlay(t, "browser> (close 1000)", "server> (close 1000)", "server> (end)")
	if err := w.App.Process.WaitFor(func() error {
		text, err := w.App.Request("GET", "/events", "")
		if err == nil && !strings.Contains(text, "edited disconnect") {
			err = fmt.Errorf("no edited disconnect among the events: %s", text)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// copyLab returns a copy of the lab application that a test may edit.
func copyLab(t *testing.T) string {
	folder := filepath.Join(t.TempDir(), "lab")
	if err := os.CopyFS(folder, os.DirFS(stage.ProjectRoot+"/testdata/lab")); err != nil {
		t.Fatal(err)
	}
	return folder
}

// edit replaces text in a file.
func edit(t *testing.T, file, from, to string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), from) {
		t.Fatalf("%s has no %q", file, from)
	}
	if err := os.WriteFile(file, []byte(strings.Replace(string(text), from, to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}
