package relay

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/catenary-cable/catenary/rpc"
)

// Open asks the app's own Action Cable for a WebSocket of which everything will
// be relayed, and returns its sub-protocol. What the app answers instead is the
// handshake's answer.
func (u *Upstream) Open(ctx context.Context) (protocol string, result *rpc.Result, err error) {
	cause := errors.New("the app could not be reached in time")
	ctx, cancel := context.WithTimeoutCause(ctx, u.limits.OpenWait, cause)
	defer cancel()
	var request rpc.Request
	json.Unmarshal(u.request, &request) // we wrote it ourselves
	ws, refusal, err := u.relay.open(ctx, &request)
	if err != nil || refusal != nil {
		u.cancel()
		return "", refusal, err
	}
	ws.SetReadLimit(longestMessage)
	u.ws, u.ready = ws, true
	u.request = nil
	return ws.Subprotocol(), &rpc.Result{Status: http.StatusOK, Version: "relayed"}, nil
}

// Begin starts to relay, the welcome first.
func (u *Upstream) Begin() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.ended {
		u.start()
	}
}

// pass gives the browser the app's text. The pings are the app's too: so a
// browser notices a Puma that hangs, as it would without us.
func (u *Upstream) pass(text []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.told = bytes.HasPrefix(text, []byte(`{"type":"disconnect"`))
	if !u.ended {
		u.browser.Send(string(text))
	}
}
