package browser

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestCompression_InChromium has the unmodified npm client, whose browser offers permessage-deflate, say and hear what is long.
func TestCompression_InChromium(t *testing.T) {
	t.Parallel()
	lobby := startChat(t, "redis", "--compression")
	alice, bob := lobby.signIn("alice"), lobby.signIn("bob")
	stage.Evaluate[bool](alice, `agreed = ""; probe = new WebSocket(location.origin.replace("http", "ws") + "/cable", ["actioncable-v1-json"]); probe.onopen = () => { agreed = probe.extensions; probe.close() }; true`)
	alice.ExpectThat("compression", `agreed.startsWith("permessage-deflate")`)
	for _, text := range []string{"short", strings.TrimSpace(strings.Repeat("rather long ", 80))} {
		pastes(alice, text)
		hears(bob, "alice", text)
		pastes(bob, text)
		hears(alice, "bob", text)
	}
}
