package stage

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// An Edge is an app with one catenary or more that check tokens.
type Edge struct {
	*testing.T
	Redis *Redis
	App   *App
	Nodes []*Catenary
	root  string
}

// StartEdge writes config/catenary.yml below a root of catenary's own.
func StartEdge(t *testing.T, nodes int, settings string, flags ...string) *Edge {
	t.Helper()
	return StartEdgeOn(t, nodes, []string{"LAB_DISABLE_FORGERY_PROTECTION=true"}, settings, flags...)
}

// StartEdgeOn does so with an app of this environment.
func StartEdgeOn(t *testing.T, nodes int, env []string, settings string, flags ...string) *Edge {
	t.Helper()
	e := &Edge{T: t}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	e.root, err = configure(settings)
	must(err)
	t.Cleanup(func() { os.RemoveAll(e.root) })
	e.Redis, err = StartRedis()
	must(err)
	t.Cleanup(e.Redis.Close)
	must(os.WriteFile(filepath.Join(e.root, "config", "cable.yml"), []byte("development:\n  adapter: redis\n  url: "+e.Redis.URL()+"\n"), 0o600))
	e.App, err = StartApp("lab", true, append(env, "REDIS_URL="+e.Redis.URL())...)
	must(err)
	t.Cleanup(e.App.Close)
	for range nodes {
		e.Start(e.App, flags...)
	}
	return e
}

// Start starts one node more.
func (e *Edge) Start(before *App, flags ...string) {
	e.Helper()
	c, err := StartCatenary(before, append([]string{"--root", e.root}, flags...)...)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(c.Process.Kill)
	e.Nodes = append(e.Nodes, c)
}

// Connect opens a connection to a node. changes are headers, as in transcripts.
func (e *Edge) Connect(node int, path string, changes ...string) *Browser {
	e.Helper()
	b, err := Dial(e.Nodes[node].Address, Handshake("GET", path, e.Nodes[node].Address, changes))
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(b.Close)
	return b
}

// Hears waits for frames, pings left out.
func (e *Edge) Hears(b *Browser, frames ...string) {
	e.Helper()
	for _, want := range frames {
		got, ok := NextFrame(b)
		if !ok || got.String() != want {
			e.Fatalf("got %s (%t, %s), want %s", got, ok, b.Response.Status, want)
		}
	}
}

// Disconnect is catenary disconnect, as on the same machine. It returns what that says.
func (e *Edge) Disconnect(arguments ...string) string {
	e.Helper()
	path, err := Built()
	if err != nil {
		e.Fatal(err)
	}
	arguments = append([]string{"disconnect", "--root", e.root}, arguments...)
	command := exec.Command(path, arguments...)
	command.Env = append(os.Environ(), "SECRET_KEY_BASE="+SecretKeyBase)
	out, err := command.CombinedOutput()
	if err != nil {
		e.Fatalf("catenary %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// Comes opens a connection as a user of the tenant acme.
func (e *Edge) Comes(user string, claims jwt.MapClaims) *Browser {
	e.Helper()
	all := jwt.MapClaims{"sub": user, "tenant_id": "acme"}
	for name, value := range claims {
		all[name] = value
	}
	b := e.Connect(0, "/cable?token="+SignToken(all))
	e.Hears(b, Welcome)
	return b
}

// Tells sends a command about a channel.
func (e *Edge) Tells(b *Browser, command, identifier string, data ...any) {
	e.Helper()
	text := map[string]string{"command": command, "identifier": identifier}
	if len(data) > 0 {
		encoded, _ := json.Marshal(data[0])
		text["data"] = string(encoded)
	}
	encoded, _ := json.Marshal(text)
	if err := b.Send(string(encoded)); err != nil {
		e.Fatal(err)
	}
}

// Subscribes subscribes to a channel and expects the confirmation next.
func (e *Edge) Subscribes(b *Browser, identifier string) {
	e.Helper()
	e.Tells(b, "subscribe", identifier)
	e.Hears(b, About(identifier, `"type":"confirm_subscription"`))
}

// Broadcast has the app broadcast a message.
func (e *Edge) Broadcast(stream, message string) {
	e.Helper()
	if err := e.App.Ask(`POST /broadcast {"stream":"` + stream + `","message":"` + message + `"}`); err != nil {
		e.Fatal(err)
	}
}
