package clients

import (
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// @anycable/core speaks Rails' protocol in its plain mode. It is unmodified, in Node.
func TestAnycableClient_RunsUnmodified(t *testing.T) {
	w := stage.NewWorld(t, serverUnderTest())
	client := stage.StartNode(t, "anycable.mjs", w.Address, w.App.URL())
	stage.MustSucceed(t, client)
	t.Log("\n" + client.Output.Tail())
}
