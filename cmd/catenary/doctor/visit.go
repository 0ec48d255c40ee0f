package doctor

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

const (
	handshakeWait = 15 * time.Second
	welcomeWait   = 5 * time.Second

	// pingWait is how long a client waits for one before it takes the connection
	// for dead: twice Rails' interval (action_cable's connection_monitor.js).
	pingWait = 6 * time.Second
)

// Visit is a browser's, to an address at which it finds the cable.
type Visit struct {
	URL    *url.URL // ws or wss
	Header http.Header

	// OwnCertificate says that the address is not the one for which the server has
	// its certificate, which therefore is not checked.
	OwnCertificate bool
	// Note is added to what is said of a handshake that succeeds.
	Note string

	// Counts are catenary's own counters of handshakes, by what became of them. It
	// is nil, or fails, where they cannot be asked for.
	Counts func(context.Context) (map[string]float64, error)
}

// ParseURL takes what a browser would be given; http is as good as ws.
func ParseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return nil, errors.New("this is no URL such as wss://example.com/cable")
	}
	switch u.Scheme {
	case "ws", "wss":
	case "http", "https":
		u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	default:
		return nil, fmt.Errorf("a URL begins with wss:, ws:, https: or http:, not with %s:", u.Scheme)
	}
	return u, nil
}

// Make connects, waits for the welcome and for a ping, and tells each finding.
func (v Visit) Make(ctx context.Context, tell func(Finding)) {
	before := v.counts(ctx)
	dialer := websocket.Dialer{
		Proxy: http.ProxyFromEnvironment, HandshakeTimeout: handshakeWait,
		Subprotocols:    []string{protocol.V1JSON, protocol.Unsupported},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: v.OwnCertificate},
	}
	socket, response, err := dialer.DialContext(ctx, v.URL.String(), v.Header)
	came := v.cameSince(ctx, before, err == nil)
	if err != nil {
		tell(Finding{"handshake", Bad, v.explain(err, response, came)})
		return
	}
	defer socket.Close()
	tell(v.handshake(socket.Subprotocol(), came))
	v.conversation(socket, tell)
}

func (v Visit) handshake(subprotocol, came string) Finding {
	where := v.place()
	switch {
	case came == nowhere:
		return Finding{"handshake", Doubt, where + " is answered by a server that is not this catenary: Rails' own Action Cable, or another node. " +
			"Send this path to catenary in your proxy (README, Install)"}
	case subprotocol != protocol.V1JSON:
		return Finding{"handshake", Bad, fmt.Sprintf("%s answers with the sub-protocol %q instead of %q: something on the way drops Sec-WebSocket-Protocol", where, subprotocol, protocol.V1JSON)}
	case came == "":
		return Finding{"handshake", Good, where + " (whether it came to this catenary cannot be told without its operations listener)"}
	}
	return Finding{"handshake", Good, where + v.Note}
}

// conversation waits for what a server says by itself.
func (v Visit) conversation(socket *websocket.Conn, tell func(Finding)) {
	text, err := next(socket, welcomeWait)
	switch {
	case err != nil:
		tell(Finding{"welcome", Bad, fmt.Sprintf("nothing was said within %v: %v. Something on the way holds back what the server writes, or the app's connect takes too long", welcomeWait, err)})
		return
	case strings.Contains(text, `"unauthorized"`):
		tell(Finding{"welcome", Doubt, "the app's connect, or the check of tokens, refuses this visitor, which is right for one who is not signed in. " +
			"Bring what a browser has: --cookie, or a token in the URL"})
		return
	case text != protocol.Welcome:
		tell(Finding{"welcome", Bad, "the server said " + clip(text) + " instead of welcome: look into its log"})
		return
	}
	tell(Finding{"welcome", Good, "the app's connect accepts this visitor"})
	began := time.Now()
	if text, err = next(socket, pingWait); err != nil || !strings.Contains(text, `"ping"`) {
		tell(Finding{"ping", Bad, fmt.Sprintf("no ping within %v, so clients will connect again and again: a proxy on the way buffers; for nginx, proxy_buffering off", pingWait)})
		return
	}
	tell(Finding{"ping", Good, fmt.Sprintf("after %.1f s", time.Since(began).Seconds())})
}

func next(socket *websocket.Conn, wait time.Duration) (string, error) {
	socket.SetReadDeadline(time.Now().Add(wait))
	_, text, err := socket.ReadMessage()
	return string(text), err
}

// explain names the cause of a handshake that failed.
func (v Visit) explain(err error, response *http.Response, came string) string {
	where := v.place()
	if response == nil {
		return where + " cannot be reached: " + reach(err)
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 512))
	answer := where + " answers " + response.Status
	switch status := response.StatusCode; {
	case came == "no_upgrade":
		return answer + ": the handshake came to catenary without Connection: Upgrade. A proxy on the way drops it: for nginx, proxy_http_version 1.1 and the headers Upgrade and Connection (README, Install)"
	case came == "origin":
		return answer + ": allowed_request_origins of catenary does not have " + v.Header.Get("Origin")
	case came == "refused":
		return answer + ": the app refuses it: " + v.refused(response, string(body))
	case came != "" && came != nowhere:
		return answer + ": catenary turns it away, " + came + " (docs/metrics.md, Why handshakes are rejected)"
	case status >= 300 && status < 400:
		return answer + " to " + clip(response.Header.Get("Location")) + ": if that is https, the proxy does not tell the app that it speaks TLS: X-Forwarded-Proto"
	case status == http.StatusNotFound && strings.Contains(string(body), "Page not found"):
		return answer + ": Action Cable refuses it. Either the origin " + v.Header.Get("Origin") + " is not allowed, or a proxy on the way drops Connection: Upgrade"
	case status == http.StatusNotFound:
		return answer + ": nobody knows this path. Compare it with Rails' config.action_cable.mount_path and with your proxy"
	case status == http.StatusOK || status == http.StatusBadRequest || status == http.StatusUpgradeRequired:
		return answer + ": no WebSocket comes of it. A proxy on the way drops Connection: Upgrade, or sends this path to something else"
	case status >= 500:
		return answer + ": what answers has no server behind it that works. Is catenary up, and ready?"
	}
	return answer + ": the app, or a proxy on the way, refuses it"
}

// refused says why the app has refused a handshake that came to catenary.
func (v Visit) refused(response *http.Response, body string) string {
	switch status := response.StatusCode; {
	case status == http.StatusNotFound && strings.Contains(body, "Page not found"):
		return "\"Request origin not allowed\" stands in its log: " + v.allow()
	case status == http.StatusNotFound:
		return "it does not know this path: compare it with config.action_cable.mount_path, and with paths of catenary"
	case status >= 300 && status < 400 && strings.HasPrefix(response.Header.Get("Location"), "https:"):
		return "it has config.force_ssl, and is told that the browser speaks http: the proxy must send X-Forwarded-Proto: https, or set config.assume_ssl"
	case status == http.StatusForbidden:
		return "it names a blocked host if " + v.host() + " is not in config.hosts: add it, or have the proxy pass on Host as the browser names it"
	}
	return "its middleware has answered, see its log"
}

func (v Visit) host() string {
	if host := v.Header.Get("Host"); host != "" {
		return host
	}
	return v.URL.Host
}

// allow says how the app comes to accept the page's origin. Its own host it
// accepts unasked, where it is told which host that is.
func (v Visit) allow() string {
	origin := v.Header.Get("Origin")
	add := "add " + origin + " to config.action_cable.allowed_request_origins"
	if u, err := url.Parse(origin); err == nil && u.Host == v.URL.Host {
		return "the proxy must pass on Host and X-Forwarded-Proto as they came (README, Install), or " + add
	}
	return add
}

// reach explains why there was no answer at all.
func reach(err error) string {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &dns):
		return "no such name: " + dns.Name
	case errors.As(err, &certificate):
		return "browsers will not trust its certificate: " + certificate.Err.Error()
	case errors.As(err, &record):
		return "it does not speak TLS: use ws:, or end TLS before it"
	case errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("no answer within %v: a firewall, or a server that hangs", handshakeWait)
	}
	return err.Error()
}

// place is the address without what may be secret in it.
func (v Visit) place() string {
	u := *v.URL
	u.RawQuery, u.User, u.Fragment = "", nil, ""
	return u.String()
}

func clip(text string) string {
	text, _, _ = strings.Cut(text, "?") // a query may hold a token
	if len(text) > 200 {
		return text[:200] + "…"
	}
	return text
}
