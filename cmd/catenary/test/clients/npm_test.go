package clients

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// npmClients are the versions of Rails' JavaScript client in testdata/npm, unmodified.
var npmClients = []string{"5.2", "6.0", "6.1.4", "6.1", "7.0", "7.1", "7.2", "8.0", "8.1"}

// TestNpmClients runs every version of the npm client in Node against catenary. SERVER=rails runs the reference.
func TestNpmClients(t *testing.T) {
	server := os.Getenv("SERVER")
	if server == "" {
		server = "catenary"
	}
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
			if err := client.WaitFor(func() error { return stage.Says(client, "connected\n") }); err != nil {
				t.Errorf("%s: %v", version, err)
			}
		}
		w.RestartServer(t)
		mustSucceed(t, clients)
	})
}

func runClients(t *testing.T, w *stage.World, script string) {
	mustSucceed(t, startClients(t, w, script))
}

// startClients starts a script with every version.
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
