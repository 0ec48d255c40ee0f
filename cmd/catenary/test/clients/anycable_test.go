package clients

import (
	"os"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestAnycableClient runs @anycable/core, unmodified, in Node: in its plain mode it speaks Rails' protocol. SERVER=rails runs
// the reference.
func TestAnycableClient(t *testing.T) {
	server := os.Getenv("SERVER")
	if server == "" {
		server = "catenary"
	}
	w := stage.NewWorld(t, server)
	client := stage.StartNode(t, "anycable.mjs", w.Address, w.App.URL())
	stage.MustSucceed(t, client)
	t.Log("\n" + client.Output.Tail())
}
