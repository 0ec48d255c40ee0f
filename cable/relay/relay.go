package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// All, in place of a channel's class, passes whole connections through.
const All = "all"

const (
	maxDials = 64 // handshakes with the app at once: all upstreams reconnect after a restart of Puma

	dialTimeout = 10 * time.Second // for one attempt, from connecting to the app's 101

	// pauses between attempts
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// Relay knows what catenary passes through to the app's own Action Cable, and how to reach it. A
// nil Relay passes nothing through.
type Relay struct {
	Proxies admission.Proxies // in front of catenary

	repeated atomic.Int64 // subscribes that were not passed on

	whole    bool
	channels map[string]bool // class names
	address  string          // ws:// or wss:// and the host
	dialer   websocket.Dialer
	dials    chan struct{} // holds one token per handshake
}

// New returns a Relay for the channels of these classes, or for everything (All). The backend is
// http://host:port, https://host or unix:/path/to/puma.sock.
func New(backend string, channels ...string) (*Relay, error) {
	u, err := url.Parse(backend)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	r := &Relay{channels: map[string]bool{}, dials: make(chan struct{}, maxDials)}
	r.dialer.WriteBufferPool = &sync.Pool{}
	switch u.Scheme {
	case "http":
		r.address = "ws://" + u.Host
	case "https":
		r.address = "wss://" + u.Host
	case "unix":
		r.address = "ws://localhost"
		r.dialer.NetDialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", u.Path)
		}
	default:
		return nil, fmt.Errorf("backend.url: %q is not a valid http:, https: or unix: URL: write for example http://127.0.0.1:3000",
			u.Redacted())
	}
	for _, channel := range channels {
		r.whole = r.whole || channel == All
		r.channels[strings.TrimPrefix(channel, "::")] = true
	}
	return r, nil
}

// TakesAll reports whether whole connections are passed through.
func (r *Relay) TakesAll() bool { return r != nil && r.whole }

// Repeated counts the subscribes that were not passed on because the app has the subscription
// already.
func (r *Relay) Repeated() int64 {
	if r == nil {
		return 0
	}
	return r.repeated.Load()
}

// Takes reports whether a command is for a channel that is passed through. It reads the identifier
// as actioncable/lib/action_cable/connection/subscriptions.rb does.
func (r *Relay) Takes(command protocol.Command) bool {
	if r == nil || r.whole || command.Kind == protocol.Unknown {
		return r.TakesAll()
	}
	var fields map[string]json.RawMessage // not a struct: its field would match "Channel" too
	var channel string
	if json.Unmarshal([]byte(command.Identifier), &fields) != nil || json.Unmarshal(fields["channel"], &channel) != nil {
		return false
	}
	return r.channels[strings.TrimPrefix(channel, "::")]
}

// open dials until the app answers or ctx ends, since Puma may be starting. If the app answers with
// HTTP instead of a WebSocket, open returns that as the rejection, with the first kilobyte of its
// body: browsers show none of it.
func (r *Relay) open(ctx context.Context, request *rpc.Request) (ws *websocket.Conn, rejection *rpc.Result, err error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		ws, rejection, err = r.dial(ctx, request)
		if err == nil {
			return ws, rejection, nil
		}
		waitErr := sleep(ctx, pause)
		if waitErr != nil {
			return nil, nil, fmt.Errorf("opening a WebSocket to the app's own Action Cable: %w",
				errors.Join(waitErr, err))
		}
	}
}

// sleep waits for 0.5 to 1.5 times pause, so that upstreams that were lost together do not all
// reconnect at the same moment.
func sleep(ctx context.Context, pause time.Duration) error {
	select {
	case <-time.After(pause/2 + rand.N(pause)):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (r *Relay) dial(ctx context.Context, request *rpc.Request) (*websocket.Conn, *rpc.Result, error) {
	select {
	case r.dials <- struct{}{}:
		defer func() { <-r.dials }()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	u, err := url.Parse(request.URL)
	if err != nil {
		// The inner error does not quote the URL, which may contain a token.
		return nil, nil, fmt.Errorf("parsing the browser's URL: %w", errors.Unwrap(err))
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dialTimeout, errors.New("the handshake took too long"))
	defer cancel()
	ws, response, err := r.dialer.DialContext(ctx, r.address+u.RequestURI(), r.headers(request, u.Scheme))
	if err == nil {
		return ws, nil, nil
	}
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols || unavailable(response.StatusCode) {
		return nil, nil, err
	}
	body, _ := io.ReadAll(response.Body) // gorilla/websocket keeps one kilobyte
	rejection := &rpc.Result{Status: response.StatusCode, Body: string(body)}
	for name, values := range response.Header {
		for _, value := range values {
			rejection.Headers = append(rejection.Headers, [2]string{name, value})
		}
	}
	return nil, rejection, nil
}

// unavailable reports whether a proxy in front of the app answers with this status while the app
// restarts.
func unavailable(status int) bool {
	switch status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// headers returns the browser's headers without those that concern its connection to catenary, and
// with X-Forwarded-*.
func (r *Relay) headers(request *rpc.Request, scheme string) http.Header {
	header := http.Header{}
	for _, h := range request.Headers {
		switch name := http.CanonicalHeaderKey(h[0]); name {
		case "Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Te", "Trailer",
			"Transfer-Encoding", "Content-Length",
			"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions":
		default:
			header.Add(name, h[1])
		}
	}
	changesScheme := (scheme == "https") != strings.HasPrefix(r.address, "wss:")
	r.Proxies.Forward(header, request.IP, changesScheme, scheme)
	return header
}
