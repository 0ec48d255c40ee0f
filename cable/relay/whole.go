package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/catenary-cable/catenary/rpc"
)

// Open opens the upstream of a whole connection and returns its sub-protocol. If the app rejects the
// handshake, result is the app's HTTP answer.
func (u *Upstream) Open(ctx context.Context) (subprotocol string, result *rpc.Result, err error) {
	cause := errors.New("the app could not be reached in time")
	ctx, cancel := context.WithTimeoutCause(ctx, u.limits.OpenWait, cause)
	defer cancel()
	var request rpc.Request
	json.Unmarshal(u.request, &request) // we wrote it ourselves
	ws, rejection, err := u.relay.open(ctx, &request)
	if err != nil || rejection != nil {
		u.cancel()
		return "", rejection, err
	}
	ws.SetReadLimit(maxMessage)
	u.ws = ws
	u.ready = true
	u.request = nil // there is no reconnect
	return ws.Subprotocol(), &rpc.Result{Status: http.StatusOK, Version: "relayed"}, nil
}

// Begin starts to relay; the first message is the app's welcome.
func (u *Upstream) Begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ended {
		u.start()
	}
}

// pass sends the browser a message of the app, pings included: so a browser notices that Puma hangs,
// as it would without catenary.
func (u *Upstream) pass(text []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.disconnected = bytes.HasPrefix(text, []byte(`{"type":"disconnect"`))
	if !u.ended {
		u.browser.Send(string(text))
	}
}
