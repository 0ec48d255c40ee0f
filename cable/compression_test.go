package cable

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

func compressed(s *setup) { s.compress = true }

// compressing connects as a browser that compresses all its messages.
func (w *world) compressing() *browser {
	w.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"actioncable-v1-json"}, EnableCompression: true, ReadBufferSize: 1 << 16}
	ws, response, err := dialer.Dial(w.url, nil)
	if err != nil {
		w.Fatalf("handshake: %v %v", err, response)
	}
	w.Cleanup(func() { ws.Close() })
	b := &browser{w.T, ws}
	b.expect(`{"type":"welcome"}`)
	return b
}

// agreed returns the extension with which the server answers an offer.
func (w *world) agreed(offer string) string {
	w.Helper()
	r := httptest.NewRequest("GET", "http"+strings.TrimPrefix(w.url, "ws"), nil)
	r.RequestURI = ""
	for name, value := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Extensions": offer,
	} {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
		w.Fatalf("handshake: %v %v", err, response)
	}
	response.Body.Close()
	return response.Header.Get("Sec-WebSocket-Extensions")
}

func TestDeflate_IsNegotiatedOnlyIfBothSidesWantIt(t *testing.T) {
	const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	if got := newWorld(t).agreed("permessage-deflate"); got != "" {
		t.Errorf("by default: %q", got)
	}
	w := newWorld(t, compressed)
	for offer, want := range map[string]string{
		"permessage-deflate; client_max_window_bits":                                  agreed, // Chromium
		"permessage-deflate":                                                          agreed, // Firefox
		"permessage-deflate; server_max_window_bits=10":                               "",
		"permessage-deflate; server_max_window_bits=10, permessage-deflate":           "",
		"x-webkit-deflate-frame":                                                      "",
		"permessage-bzip2; client_max_window_bits, permessage-deflate; x=\"a, b; c\"": agreed,
	} {
		if got := w.agreed(offer); got != want {
			t.Errorf("%s: agreed to %q", offer, got)
		}
	}
}

// Long and short messages, both ways, beside a browser without compression.
func TestDeflate_ChangesNoMessage(t *testing.T) {
	w := newWorld(t, compressed)
	all := []*browser{w.compressing(), w.compressing(), w.welcomed()}
	for _, one := range all {
		one.subscribe("room stream")
		one.expect(confirmed("room stream"))
	}
	random := make([]byte, 3000)
	for i := range random {
		random[i] = byte('a' + rand.IntN(26))
	}
	for _, text := range []string{"short", strings.Repeat("long ", 1000), string(random), strings.Repeat("x", 200_000)} {
		w.source.publish <- [2]string{"stream", fmt.Sprintf("%q", text)}
		for _, one := range all {
			one.expect(message("room stream", fmt.Sprintf("%q", text)))
			if len(text) > 3000 {
				continue
			}
			one.send(fmt.Sprintf(`{"command":"message","identifier":"room stream","data":"\"%s\""}`, text))
			one.expect(message("room stream", fmt.Sprintf("%q", text)))
		}
	}
	w.eventually("each variant has a group", func() bool { return w.hub.Stats().Deliveries == 12 })
}

// The limit on messages applies to what a compressed message inflates to.
func TestDeflate_BombsAreRejected(t *testing.T) {
	w := newWorld(t, compressed)
	b := w.compressing()
	b.send(strings.Repeat(" ", 4096)) // the limit
	b.subscribe("room")
	b.expect(confirmed("room"))
	b.send(strings.Repeat(" ", 4097))
	b.expectClose(websocket.CloseMessageTooBig)
	w.eventually("it is counted", func() bool { return w.server.Stats().Ends["message_too_long"] == 1 })
}
