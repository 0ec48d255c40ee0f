package main

import (
	"os"
	"testing"
)

// TestAnycableClient runs @anycable/core, unmodified, in Node: in its plain mode it speaks Rails' protocol. SERVER=rails runs
// the reference.
func TestAnycableClient(t *testing.T) {
	server := os.Getenv("SERVER")
	if server == "" {
		server = "catenary"
	}
	w := newWorld(t, server)
	client, err := start(projectRoot+"/testdata/clients", nil, "node", "anycable.mjs", w.address, w.app.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.kill)
	mustSucceed(t, client)
	t.Log("\n" + client.output.tail())
}
