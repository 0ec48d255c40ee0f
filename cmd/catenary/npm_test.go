package main

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"
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
			w := newWorld(t, server)
			runClients(t, w, script)
		})
	}
	t.Run("idle", func(t *testing.T) {
		w := newWorld(t, server)
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		go publishFlow(ctx, w.redis)
		runClients(t, w, "idle")
	})
	t.Run("restart", func(t *testing.T) {
		w := newWorld(t, server)
		var connected sync.WaitGroup
		connected.Add(len(npmClients))
		go func() {
			connected.Wait()
			w.restartServer(t)
		}()
		for _, version := range npmClients {
			t.Run(version, func(t *testing.T) {
				t.Parallel()
				client := startClient(t, w, "restart", version)
				if err := client.waitFor(20*time.Second, func() error { return says(client, "connected\n") }); err != nil {
					t.Error(err)
				}
				connected.Done()
				mustSucceed(t, client)
			})
		}
	})
}

func newWorld(t *testing.T, server string) *world {
	t.Parallel()
	w, err := startWorld(server, "own")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func runClients(t *testing.T, w *world, script string) {
	for _, version := range npmClients {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			mustSucceed(t, startClient(t, w, script, version))
		})
	}
}

func startClient(t *testing.T, w *world, script, version string) *process {
	if _, err := os.Stat(projectRoot + "/testdata/npm/node_modules"); err != nil {
		t.Fatal("the npm clients are missing: run script/install npm")
	}
	client, err := start(projectRoot+"/testdata/clients", nil, "node", script+".mjs", version, w.address, w.app.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.kill)
	return client
}

func mustSucceed(t *testing.T, client *process) {
	if !client.endsWithin(2 * time.Minute) {
		t.Fatalf("does not end:\n%s", client.output.tail())
	}
	if client.err != nil {
		t.Fatalf("%v\n%s", client.err, client.output.tail())
	}
}

// publishFlow sends 20 broadcasts a second.
func publishFlow(ctx context.Context, redis *redisServer) {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			redis.do("PUBLISH flow 1")
		}
	}
}
