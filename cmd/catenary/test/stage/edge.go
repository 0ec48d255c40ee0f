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

// An Edge is an app behind one or more catenary nodes that check tokens.
type Edge struct {
	*testing.T
	Redis *Redis
	App   *App
	Nodes []*Catenary
	root  string
}

// StartEdge writes settings to config/catenary.yml in a new root, and starts Redis, an app and
// nodes.
func StartEdge(t *testing.T, nodes int, settings string, flags ...string) *Edge {
	t.Helper()
	return StartEdgeOn(t, nodes, []string{"LAB_DISABLE_FORGERY_PROTECTION=true"}, settings, flags...)
}

// StartEdgeOn is StartEdge with an environment for the app.
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
	e.root, err = writeConfig(settings)
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
		e.AddNode(e.App, flags...)
	}
	return e
}

// AddNode starts another node in front of an app.
func (e *Edge) AddNode(app *App, flags ...string) {
	e.Helper()
	c, err := StartCatenary(app, append([]string{"--root", e.root}, flags...)...)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(c.Process.Kill)
	e.Nodes = append(e.Nodes, c)
}

// Connect opens a connection to a node. changes are headers, as in Handshake.
func (e *Edge) Connect(node int, path string, changes ...string) *Browser {
	e.Helper()
	b, err := Dial(e.Nodes[node].Address, Handshake("GET", path, e.Nodes[node].Address, changes))
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(b.Close)
	return b
}

// Expect waits for exactly these frames, pings left out.
func (e *Edge) Expect(b *Browser, frames ...string) {
	e.Helper()
	for _, want := range frames {
		got, ok := NextFrame(b)
		if !ok || got.String() != want {
			e.Fatalf("got %s (%t, %s), want %s", got, ok, b.Response.Status, want)
		}
	}
}

// Disconnect runs `catenary disconnect` and returns its output.
func (e *Edge) Disconnect(arguments ...string) string {
	e.Helper()
	path, err := Binary()
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

// ConnectAs opens a connection to the first node as a user of the tenant acme.
func (e *Edge) ConnectAs(user string, claims jwt.MapClaims) *Browser {
	e.Helper()
	all := jwt.MapClaims{"sub": user, "tenant_id": "acme"}
	for name, value := range claims {
		all[name] = value
	}
	b := e.Connect(0, "/cable?token="+SignToken(all))
	e.Expect(b, Welcome)
	return b
}

// SendCommand sends a command for a channel. data, if any, is encoded as JSON twice, as clients do.
func (e *Edge) SendCommand(b *Browser, command, identifier string, data ...any) {
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

// Subscribe subscribes to a channel and expects the confirmation next.
func (e *Edge) Subscribe(b *Browser, identifier string) {
	e.Helper()
	e.SendCommand(b, "subscribe", identifier)
	e.Expect(b, Confirmation(identifier))
}

// Broadcast makes the app broadcast a message.
func (e *Edge) Broadcast(stream, message string) {
	e.Helper()
	if err := e.App.Ask(`POST /broadcast {"stream":"` + stream + `","message":"` + message + `"}`); err != nil {
		e.Fatal(err)
	}
}
