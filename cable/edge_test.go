package cable

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/catenary-cable/catenary/cable/token"
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

// checkingTokens is an edge that asks for a token.
func checkingTokens(t *testing.T) Edge {
	t.Helper()
	v, err := token.New(token.Options{Places: token.Places{Query: "token", Subprotocol: token.RawSubprotocol}, Secret: tokenSecret, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return Edge{Tokens: v}
}

// dial makes a handshake with changes to its headers.
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

func TestServer_EndsABadTokenAtTheEdge(t *testing.T) {
	w := newWorldAt(t, checkingTokens(t))
	for _, query := range []string{"", "?token=" + signed(t, time.Now().Add(-time.Hour))} {
		b, _ := w.dial(query, nil)
		b.expect(`{"type":"disconnect","reason":"unauthorized","reconnect":false}`)
		b.expectClose(1000)
	}
	if calls := w.rails.made(rpc.Open); len(calls) != 0 {
		t.Errorf("Rails was called: %v", calls)
	}
	counts := w.server.turnedAway.counts()
	if counts["token_missing"] != 1 || counts["token_expired"] != 1 {
		t.Errorf("got %v", counts)
	}
}

func TestServer_TakesAGoodTokenToRails(t *testing.T) {
	w := newWorldAt(t, checkingTokens(t))
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

func TestServer_SendsAnExpiredTokensBrowserForAnother(t *testing.T) {
	w := newWorldAt(t, checkingTokens(t))
	b, _ := w.dial("?token="+signed(t, time.Now().Add(2*time.Second)), nil)
	b.expect(`{"type":"welcome"}`, `{"type":"disconnect","reason":"token_expired","reconnect":true}`)
	b.expectClose(1000)
	w.eventually("nothing is left of the holder", func() bool {
		h := &w.server.holders
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.by) == 0 && len(h.expire) == 0
	})
}

func TestHolders_ExpireInTheirSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h holders
		h.init()
		start := time.Now()
		add := func(after time.Duration) *Connection {
			c := &Connection{claims: &token.Claims{Subject: "7", Expires: start.Add(after)}}
			h.add(c)
			return c
		}
		past, soon, later, gone := add(-time.Hour), add(10*time.Second), add(48*time.Hour), add(10*time.Second)
		h.remove(gone)
		at := func(after time.Duration, want ...*Connection) {
			t.Helper()
			time.Sleep(time.Until(start.Add(after)))
			got := h.expired(time.Now().Unix())
			if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Errorf("after %v: got %v, want %v", after, got, want)
			}
			for _, c := range got {
				h.remove(c)
			}
		}
		at(1*time.Second, past)
		at(9 * time.Second)
		at(10*time.Second, soon)
		at(11 * time.Second)
		at(49*time.Hour, later) // no second was seen for long
		if len(h.by) != 0 || len(h.expire) != 0 {
			t.Errorf("something is left: %v %v", h.by, h.expire)
		}
	})
}

func TestServer_RefusesOtherOriginsAtTheEdge(t *testing.T) {
	origins, err := ParseOrigins([]string{"http://good.example", `/\Ahttps:\/\/.*\.good\.example\z/`})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorldAt(t, Edge{Origins: origins})
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
		t.Errorf("Rails was asked %d times", n)
	}
}

func TestServer_LimitsConnectionsOfOneAddress(t *testing.T) {
	w := newWorld(t, func(l *Limits) { l.ConnectionsPerAddress = 2 })
	one, _ := w.dial("", nil)
	two, _ := w.dial("", nil)
	if _, response := w.dial("", nil); response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
		t.Errorf("got %s", response.Status)
	}
	one.ws.Close()
	w.eventually("there is room again", func() bool {
		b, _ := w.dial("", nil)
		return b != nil
	})
	two.expect(`{"type":"welcome"}`)
	if n := w.server.turnedAway.counts()["connections_per_address"]; n < 1 {
		t.Errorf("counted %d", n)
	}
}

func TestServer_SlowsCommandsAndDropsNone(t *testing.T) {
	w := newWorld(t, func(l *Limits) { l.CommandRate, l.CommandBurst = 100, 20 })
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	begin := time.Now()
	for i := range 60 {
		b.send(fmt.Sprintf(`{"command":"message","identifier":"echo","data":"%d"}`, i))
	}
	for i := range 60 {
		b.expect(message("echo", fmt.Sprint(i)))
	}
	if took := time.Since(begin); took < 350*time.Millisecond || took > 3*time.Second {
		t.Errorf("60 commands, 20 of them at once, at 100 a second took %v", took)
	}
	if w.server.slowed.counts()["commands_per_second"] == 0 {
		t.Error("not counted")
	}
}

func TestGate_LimitsHandshakesOfOneAddressBeforeThoseOfAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(Limits{Handshakes: 2, HandshakesPerAddress: 1})
		a, b, c := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
		enter := func(from netip.Addr, times int) (passed int, last error) {
			for range times {
				if err := g.enter(from); err != nil {
					last = err
				} else {
					g.leave(from)
					passed++
				}
			}
			return passed, last
		}
		if n, err := enter(a, 20); n != 5 || err.(*overLimit).status != http.StatusTooManyRequests {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := enter(b, 20); n != 5 || err.(*overLimit).limit != "handshakes_per_second_per_address" {
			t.Errorf("got %d, %v", n, err)
		}
		if n, err := enter(c, 3); n != 0 || err.(*overLimit).status != http.StatusServiceUnavailable {
			t.Errorf("got %d, %v", n, err)
		}
		time.Sleep(2 * time.Second)
		if n, _ := enter(a, 20); n != 2 {
			t.Errorf("after 2 s got %d", n)
		}
	})
}

func TestGate_RemembersOnlySoManyAddresses(t *testing.T) {
	g := newGate(Limits{HandshakesPerAddress: 1})
	for i := range 200_000 {
		g.enter(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		g.leave(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(g.visitors); n > visitors {
		t.Errorf("%d are remembered", n)
	}
}

func TestProxies_FindTheBrowsersAddress(t *testing.T) {
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "127.0.0.1", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "", "192.0.2.1"},
		{"192.0.2.1:1", "198.51.100.1", "192.0.2.1"}, // nobody to believe
		{"10.0.0.1:1", "198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1", "203.0.113.5, 198.51.100.1, 10.9.9.9", "198.51.100.1"},
		{"10.0.0.1:1", "198.51.100.1:4711", "198.51.100.1"},
		{"10.0.0.1:1", "", "invalid IP"},
		{"10.0.0.1:1", "unknown", "invalid IP"},
		{"[::1]:1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"},
		{"[::ffff:192.0.2.1]:1", "", "192.0.2.1"},
	} {
		r := httptest.NewRequest("GET", "/cable", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := proxies.client(r).String(); got != c.want {
			t.Errorf("%v: got %s", c, got)
		}
	}
	if _, err := ParseProxies([]string{"10.0.0.0/99"}); err == nil {
		t.Error("accepted 10.0.0.0/99")
	}
}

func TestTally_TellsOfAKindOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		tally := newTally("trouble", slog.New(slog.NewTextHandler(&out, nil)))
		for range 100 {
			tally.add("a")
		}
		tally.add("b")
		time.Sleep(61 * time.Second)
		tally.add("a")
		if lines := strings.Count(out.String(), "\n"); lines != 3 || !strings.Contains(out.String(), "why=a times=100") {
			t.Errorf("got\n%s", out.String())
		}
	})
}

func TestServer_KeepsNoPlaceOfABrowserTurnedAway(t *testing.T) {
	w := newWorldAt(t, checkingTokens(t), func(l *Limits) { l.ConnectionsPerAddress, l.Connections = 1, 1 })
	for range 3 {
		w.eventually("the place is free", func() bool {
			b, _ := w.dial("?token=bad", nil)
			return b != nil
		})
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if left, err := w.server.Drain(ctx, 0); err != nil {
		t.Errorf("%d are left: %v", left, err)
	}
}
