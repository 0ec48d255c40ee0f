package cable

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/catenary-cable/catenary/rpc"
)

// open asks the app's own Action Cable for a WebSocket of which everything will
// be relayed. What the app answers instead is the handshake's answer.
func (u *upstream) open(ctx context.Context) (*rpc.Result, error) {
	c := u.connection
	ctx, cancel := context.WithTimeoutCause(ctx, c.server.limits.OpenWait, errors.New("the app could not be reached in time"))
	defer cancel()
	var request rpc.Request
	json.Unmarshal(c.request, &request) // we wrote it ourselves
	ws, refusal, err := c.server.passThrough.open(ctx, &request)
	if err != nil || refusal != nil {
		u.cancel()
		return refusal, err
	}
	ws.SetReadLimit(int64(c.server.limits.PendingBytes))
	u.ws, u.ready = ws, true
	c.protocol, c.request = ws.Subprotocol(), nil
	return &rpc.Result{Status: http.StatusOK}, nil
}

// begin starts to relay, the welcome first.
func (u *upstream) begin() {
	c := u.connection
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		u.start()
	}
}

// relay gives the browser the app's text. The pings are the app's too: so a
// browser notices a Puma that hangs, as it would without us.
func (u *upstream) relay(text []byte) {
	c := u.connection
	c.mu.Lock()
	defer c.mu.Unlock()
	u.told = bytes.HasPrefix(text, []byte(`{"type":"disconnect"`))
	if !c.ended {
		c.write(string(text))
	}
}
