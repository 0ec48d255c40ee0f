package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

const (
	handshakeTimeout = 15 * time.Second
	welcomeTimeout   = 5 * time.Second

	// pingTimeout is how long a client waits for a ping before it reconnects: twice Rails' interval
	// (staleThreshold in action_cable's connection_monitor.js).
	pingTimeout = 6 * time.Second
)

// Visit is a connection as a browser makes it.
type Visit struct {
	URL    *url.URL // ws or wss
	Header http.Header

	// OwnCertificate: do not verify the server's certificate, because it is for another name than
	// that of URL.
	OwnCertificate bool
	// Note is appended to the finding on a handshake that succeeds.
	Note string

	// Counts reads catenary's counters of handshakes by outcome. It is nil if there are none.
	Counts func(context.Context) (map[string]float64, error)
}

// ParseURL parses the URL of a cable. It turns http into ws and https into wss.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("not a valid URL: write for example wss://example.com/cable")
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http", "https":
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	default:
		return nil, fmt.Errorf("not a valid URL: it must begin with wss:, ws:, https: or http:, not with %s:", u.Scheme)
	}
	return u, nil
}

// Make connects, waits for the welcome and for a ping, and reports each finding.
func (v Visit) Make(ctx context.Context, report func(Finding)) {
	before := v.counts(ctx)
	dialer := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: handshakeTimeout,
		Subprotocols:    []string{protocol.V1JSON, protocol.Unsupported},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: v.OwnCertificate},
	}
	socket, response, err := dialer.DialContext(ctx, v.URL.String(), v.Header)
	outcome := v.outcomeSince(ctx, before, err == nil)
	if err != nil {
		report(Finding{"handshake", Bad, v.explain(err, response, outcome)})
		return
	}
	defer socket.Close()
	report(v.handshake(socket.Subprotocol(), outcome))
	v.conversation(socket, report)
}

// handshake is the finding on a handshake that was answered with 101.
func (v Visit) handshake(subprotocol, outcome string) Finding {
	address := v.address()
	switch {
	case outcome == notCounted:
		return Finding{"handshake", Doubt, address + " is answered by a server that is not this catenary: Rails' own Action Cable, or another node. " +
			"Send this path to catenary in your proxy (README, The proxy)"}
	case subprotocol != protocol.V1JSON:
		return Finding{"handshake", Bad, fmt.Sprintf("%s answers with the sub-protocol %q instead of %q: a proxy on the way drops Sec-WebSocket-Protocol",
			address, subprotocol, protocol.V1JSON)}
	case outcome == "":
		return Finding{"handshake", Good, address + " (without its operations listener it is unknown whether this catenary has answered)"}
	}
	return Finding{"handshake", Good, address + v.Note}
}

// conversation waits for the welcome and for a ping, which the server sends by itself.
func (v Visit) conversation(socket *websocket.Conn, report func(Finding)) {
	text, err := next(socket, welcomeTimeout)
	switch {
	case err != nil:
		report(Finding{"welcome", Bad, fmt.Sprintf("no message within %v: %v. A proxy on the way buffers what the server sends, or the app's connect takes too long", welcomeTimeout, err)})
		return
	case strings.Contains(text, `"unauthorized"`):
		report(Finding{"welcome", Doubt, "the app's connect rejects this connection, or catenary rejects its token. That is right for a browser that is not signed in. " +
			"Pass on what a signed-in browser has: --cookie, or a token in the URL"})
		return
	case text != protocol.Welcome:
		report(Finding{"welcome", Bad, "the server sent " + clip(text) + " instead of a welcome: look into its log"})
		return
	}
	report(Finding{"welcome", Good, "the app's connect accepts this connection"})
	began := time.Now()
	if text, err = next(socket, pingTimeout); err != nil || !strings.Contains(text, `"ping"`) {
		report(Finding{"ping", Bad, fmt.Sprintf("no ping within %v, so clients will reconnect again and again: a proxy on the way buffers; for nginx, set proxy_buffering off", pingTimeout)})
		return
	}
	report(Finding{"ping", Good, fmt.Sprintf("after %.1f s", time.Since(began).Seconds())})
}

// next reads the next message.
func next(socket *websocket.Conn, timeout time.Duration) (string, error) {
	socket.SetReadDeadline(time.Now().Add(timeout))
	_, text, err := socket.ReadMessage()
	return string(text), err
}

// address is the URL without the parts that may be secret.
func (v Visit) address() string {
	u := *v.URL
	u.RawQuery, u.User, u.Fragment = "", nil, ""
	return u.String()
}

// clip shortens a text for a message, and drops a query, which may have a token in it.
func clip(text string) string {
	text, _, _ = strings.Cut(text, "?")
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
