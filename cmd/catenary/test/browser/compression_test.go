package browser

import (
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// The npm client is unmodified, and its browser offers permessage-deflate.
func TestCompression_WorksInChromium(t *testing.T) {
	t.Parallel()
	lobby := startChat(t, "redis", "--compression")
	alice, bob := lobby.signIn("alice"), lobby.signIn("bob")
	stage.Evaluate[bool](alice, `agreed = ""; probe = new WebSocket(location.origin.replace("http", "ws") + "/cable", ["actioncable-v1-json"]); probe.onopen = () => { agreed = probe.extensions; probe.close() }; true`)
	alice.ExpectThat("compression", `agreed.startsWith("permessage-deflate")`)
	for _, text := range []string{"short", strings.TrimSpace(strings.Repeat("rather long ", 80))} {
		pasteMessage(alice, text)
		expectMessage(bob, "alice", text)
		pasteMessage(bob, text)
		expectMessage(alice, "bob", text)
	}
}
