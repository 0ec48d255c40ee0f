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

// All in place of channels passes whole connections through.
const All = "all"

// dialsAtOnce bounds the handshakes with the app that are under way. When Puma
// is back, all browsers' upstreams come at the same time.
const dialsAtOnce = 64

// Relay is what catenary leaves to the app's own Action Cable under Puma, and the
// way there. A nil Relay leaves nothing to it.
type Relay struct {
	Proxies admission.Proxies // before us

	repeated atomic.Int64 // subscribes that were not passed on

	whole    bool
	channels map[string]bool
	address  string // ws:// or wss:// and the host
	dialer   websocket.Dialer
	dials    chan struct{}
}

// New passes some channels through, by their classes, or All. The
// backend is http://host:port, https://host or unix:/path/to/puma.sock.
func New(backend string, channels ...string) (*Relay, error) {
	u, err := url.Parse(backend)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	r := &Relay{channels: map[string]bool{}, dials: make(chan struct{}, dialsAtOnce)}
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
		return nil, fmt.Errorf("backend.url: %q is not a valid http:, https: or unix: URL: write for example http://127.0.0.1:3000", u.Redacted())
	}
	for _, channel := range channels {
		r.whole = r.whole || channel == All
		r.channels[strings.TrimPrefix(channel, "::")] = true
	}
	return r, nil
}

// TakesAll reports whether whole connections are passed through.
func (r *Relay) TakesAll() bool { return r != nil && r.whole }

// Repeated returns how many subscribes were not passed on, because the app holds
// the subscription.
func (r *Relay) Repeated() int64 {
	if r == nil {
		return 0
	}
	return r.repeated.Load()
}

// Takes reports whether a command is about a channel that is passed through. The
// identifier is read as Rails reads it, in
// actioncable/lib/action_cable/connection/subscriptions.rb.
func (r *Relay) Takes(command protocol.Command) bool {
	if r == nil || r.whole || command.Kind == protocol.Unknown {
		return r.TakesAll()
	}
	var fields map[string]json.RawMessage // and no struct, whose fields would match "Channel" too
	var channel string
	if json.Unmarshal([]byte(command.Identifier), &fields) != nil || json.Unmarshal(fields["channel"], &channel) != nil {
		return false
	}
	return r.channels[strings.TrimPrefix(channel, "::")]
}

// open dials until the app answers or ctx ends: Puma may be starting. A refusal
// is the app's HTTP answer in place of a WebSocket; of its body the first
// kilobyte is kept, which no browser shows anyway.
func (r *Relay) open(ctx context.Context, request *rpc.Request) (ws *websocket.Conn, refusal *rpc.Result, err error) {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if ws, refusal, err = r.dial(ctx, request); err == nil {
			return ws, refusal, nil
		}
		if waitErr := sleep(ctx, pause); waitErr != nil {
			return nil, nil, fmt.Errorf("opening the app's own Action Cable: %w", errors.Join(waitErr, err))
		}
	}
}

const (
	firstPause   = 50 * time.Millisecond
	longestPause = 2 * time.Second
)

// sleep waits about as long as pause, so that those who were cut off together
// do not come back together.
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
		return nil, nil, fmt.Errorf("reading the browser's URL: %w", errors.Unwrap(err)) // which does not quote it: there may be a token in it
	}
	ctx, cancel := context.WithTimeoutCause(ctx, dialWait, errors.New("the handshake took too long"))
	defer cancel()
	ws, response, err := r.dialer.DialContext(ctx, r.address+u.RequestURI(), r.headers(request, u.Scheme))
	if err == nil {
		return ws, nil, nil
	}
	if response == nil || response.StatusCode == http.StatusSwitchingProtocols || unavailable(response.StatusCode) {
		return nil, nil, err
	}
	refusal := &rpc.Result{Status: response.StatusCode}
	body, _ := io.ReadAll(response.Body)
	refusal.Body = string(body)
	for name, values := range response.Header {
		for _, value := range values {
			refusal.Headers = append(refusal.Headers, [2]string{name, value})
		}
	}
	return nil, refusal, nil
}

// dialWait is for one attempt, from connecting to the app's 101.
const dialWait = 10 * time.Second

// unavailable reports whether this is the answer of a proxy between us and the app that is being
// restarted.
func unavailable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// headers are the browser's own, with what every proxy adds: whom it speaks for.
func (r *Relay) headers(request *rpc.Request, scheme string) http.Header {
	header := http.Header{}
	for _, h := range request.Headers {
		switch name := http.CanonicalHeaderKey(h[0]); name {
		case "Connection", "Upgrade", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Content-Length",
			"Sec-Websocket-Key", "Sec-Websocket-Version", "Sec-Websocket-Extensions":
		default:
			header.Add(name, h[1])
		}
	}
	r.Proxies.Forward(header, request.IP, (scheme == "https") != strings.HasPrefix(r.address, "wss:"), scheme)
	return header
}
