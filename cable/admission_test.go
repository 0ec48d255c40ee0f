package cable

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
)

const tokenSecret = "a secret of thirty-two bytes or more"

func signed(t *testing.T, expires time.Time) string {
	t.Helper()
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "7", "jti": "j-1", "exp": expires.Unix()}).SignedString([]byte(tokenSecret))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// checkingTokens has the server require a token.
func checkingTokens(t *testing.T) func(*setup) {
	t.Helper()
	v, err := token.New(token.Options{Places: token.Places{Query: "token", Subprotocol: token.RawSubprotocol}, Secret: tokenSecret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return func(s *setup) { s.admission.Tokens = v }
}

// dial makes a handshake. It returns a nil browser if the handshake is rejected.
func (w *world) dial(query string, header http.Header, subprotocols ...string) (*browser, *http.Response) {
	dialer := websocket.Dialer{Subprotocols: append([]string{"actioncable-v1-json", "actioncable-unsupported"}, subprotocols...)}
	ws, response, err := dialer.Dial(w.url+query, header)
	if err != nil {
		if response == nil {
			w.Fatal(err)
		}
		return nil, response
	}
	w.Cleanup(func() { ws.Close() })
	return &browser{w.T, ws}, response
}

func TestServer_RejectsABadTokenWithoutRails(t *testing.T) {
	w := newWorld(t, checkingTokens(t))
	for _, query := range []string{"", "?token=" + signed(t, time.Now().Add(-time.Hour))} {
		b, _ := w.dial(query, nil)
		b.expect(`{"type":"disconnect","reason":"unauthorized","reconnect":false}`)
		b.expectClose(1000)
	}
	if calls := w.rails.made(rpc.Open); len(calls) != 0 {
		t.Errorf("Rails was called: %v", calls)
	}
	counts := w.server.Stats().Rejected
	if counts["token_missing"] != 1 || counts["token_expired"] != 1 {
		t.Errorf("got %v", counts)
	}
}

func TestServer_PassesAGoodTokenToRails(t *testing.T) {
	w := newWorld(t, checkingTokens(t))
	text := signed(t, time.Now().Add(time.Hour))
	b, response := w.dial("", nil, text)
	b.expect(`{"type":"welcome"}`)
	if chosen := response.Header.Get("Sec-WebSocket-Protocol"); chosen != "actioncable-v1-json" {
		t.Errorf("chose the sub-protocol %q", chosen)
	}
	if calls := w.rails.made(rpc.Open); len(calls) != 1 || !strings.Contains(string(calls[0].Request), text) {
		t.Errorf("Rails has not seen the token: %v", calls)
	}
}

func TestServer_DisconnectsABrowserWhoseTokenExpires(t *testing.T) {
	w := newWorld(t, checkingTokens(t))
	b, _ := w.dial("?token="+signed(t, time.Now().Add(time.Hour)), nil)
	b.expect(`{"type":"welcome"}`)
	w.server.tokens.disconnectExpired(time.Now().Add(time.Hour))
	b.expect(`{"type":"disconnect","reason":"token_expired","reconnect":true}`)
	b.expectClose(1000)
	w.eventually("the connection is forgotten", func() bool {
		h := &w.server.tokens
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.byKey) == 0 && len(h.byExpiry) == 0
	})
}

func TestServer_RejectsOtherOriginsWithoutRails(t *testing.T) {
	origins, err := admission.ParseOrigins([]string{"http://good.example", `/\Ahttps:\/\/.*\.good\.example\z/`})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(s *setup) { s.admission.Origins = origins })
	for origin, status := range map[string]int{
		"http://good.example": 101, "https://www.good.example": 101,
		"http://evil.example": 404, "https://www.good.example.evil.example": 404, "": 404,
	} {
		header := http.Header{}
		if origin != "" {
			header.Set("Origin", origin)
		}
		if _, response := w.dial("", header); response.StatusCode != status {
			t.Errorf("%q: got %s", origin, response.Status)
		}
	}
	if n := len(w.rails.made(rpc.Open)); n != 2 {
		t.Errorf("Rails was called %d times", n)
	}
}

func TestServer_LimitsConnectionsOfOneAddress(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.admission.Limits.ConnectionsPerAddress = 2 })
	one, _ := w.dial("", nil)
	two, _ := w.dial("", nil)
	if _, response := w.dial("", nil); response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %s", response.Status)
	}
	one.ws.Close()
	w.eventually("another connection is accepted", func() bool {
		b, _ := w.dial("", nil)
		return b != nil
	})
	two.expect(`{"type":"welcome"}`)
	if n := w.server.Stats().Rejected["connections_per_address"]; n < 1 {
		t.Errorf("counted %d", n)
	}
}

func TestServer_ThrottlesCommandsAndDropsNone(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.CommandRate, s.limits.Socket.CommandBurst = 100, 20 })
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	for i := range 60 {
		b.send(fmt.Sprintf(`{"command":"message","identifier":"echo","data":"%d"}`, i))
	}
	for i := range 60 {
		b.expect(message("echo", fmt.Sprint(i)))
	}
	if w.server.Stats().Throttled["commands_per_second"] == 0 {
		t.Error("not counted")
	}
}

func TestServer_FreesThePlaceOfARejectedBrowser(t *testing.T) {
	w := newWorld(t, checkingTokens(t), func(s *setup) { s.admission.Limits.ConnectionsPerAddress, s.limits.Connections = 1, 1 })
	for range 3 {
		w.eventually("the place is free", func() bool {
			b, _ := w.dial("?token=bad", nil)
			return b != nil
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience.Deadline)
	defer cancel()
	if left, err := w.server.Drain(ctx, 0); err != nil {
		t.Errorf("%d connections are left: %v", left, err)
	}
}
