package clients

import (
	"cmp"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/golang-jwt/jwt/v5"
)

// npmClients are the versions of Rails' JavaScript client in testdata/npm.
var npmClients = []string{"5.2", "6.0", "6.1.4", "6.1", "7.0", "7.1", "7.2", "8.0", "8.1"}

// serverUnderTest is the server that SERVER names, or catenary. SERVER=rails runs the reference.
func serverUnderTest() string { return cmp.Or(os.Getenv("SERVER"), "catenary") }

// The npm clients run in Node.
func TestNpmClients_RunUnmodified(t *testing.T) {
	server := serverUnderTest()
	for _, script := range []string{"subscriptions", "endings"} {
		t.Run(script, func(t *testing.T) {
			w := stage.NewWorld(t, server)
			runClients(t, w, script)
		})
	}
	t.Run("idle", func(t *testing.T) {
		w := stage.NewWorld(t, server)
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		go publishFlow(ctx, w.Redis)
		runClients(t, w, "idle")
	})
	t.Run("restart", func(t *testing.T) {
		w := stage.NewWorld(t, server)
		clients := startClients(t, w, "restart")
		for version, client := range clients {
			if err := client.WaitFor(func() error { return stage.Wrote(client, "connected\n") }); err != nil {
				t.Errorf("%s: %v", version, err)
			}
		}
		w.RestartServer(t)
		mustSucceed(t, clients)
	})
}

// Clients before Rails 6 do not know disconnect frames, so catenary can be told not to send them.
func TestNpmClients_ReconnectAfterACloseWithoutDisconnectFrame(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	const silent = "--disconnect-frames=false"
	w.Catenary.Process.Kill()
	if err := w.Catenary.Up(w.App, silent); err != nil {
		t.Fatal(err)
	}
	clients := startClients(t, w, "goodbye")
	for version, client := range clients {
		if err := client.WaitFor(func() error { return stage.Wrote(client, "connected\n") }); err != nil {
			t.Errorf("%s: %v", version, err)
		}
	}
	w.Catenary.Process.Stop(t)
	if err := w.Catenary.Up(w.App, silent); err != nil {
		t.Fatal(err)
	}
	mustSucceed(t, clients)
	for version, client := range clients {
		if output := client.Output.String(); strings.Contains(output, "uncaught") {
			t.Errorf("%s: %s", version, output)
		}
	}
}

// docs/edge.md describes what happens to pages with a fixed URL.
func TestNpmClients_NeedAFreshTokenToReconnect(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, stage.JWTSettings(""))
	w := &stage.World{Redis: e.Redis, App: e.App, Catenary: e.Nodes[0], Address: e.Nodes[0].Address}
	lifetime := int64(stage.Patience.Seconds() / 4) // long enough for every client to connect
	fresh := stage.SignToken(jwt.MapClaims{"sub": "7", "jti": "fresh"})
	clients := map[string]*stage.Process{}
	for _, version := range []string{"6.1", "8.1"} {
		clients[version] = stage.StartClient(t, w, "expiry", version, stage.SignToken(jwt.MapClaims{"sub": "7", "exp": time.Now().Unix() + lifetime}), fresh)
	}
	for _, client := range clients {
		stage.MustSucceed(t, client)
	}
}

func runClients(t *testing.T, w *stage.World, script string) {
	mustSucceed(t, startClients(t, w, script))
}

// startClients starts a script with every version of the client.
func startClients(t *testing.T, w *stage.World, script string) map[string]*stage.Process {
	clients := map[string]*stage.Process{}
	for _, version := range npmClients {
		clients[version] = stage.StartClient(t, w, script, version)
	}
	return clients
}

func mustSucceed(t *testing.T, clients map[string]*stage.Process) {
	for _, version := range npmClients {
		t.Run(version, func(t *testing.T) { stage.MustSucceed(t, clients[version]) })
	}
}

// publishFlow sends 20 broadcasts a second.
func publishFlow(ctx context.Context, redis *stage.Redis) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			redis.Do("PUBLISH flow 1")
		}
	}
}
