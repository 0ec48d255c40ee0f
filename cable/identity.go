package cable

import (
	"errors"
	"net/http"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// identify checks the handshake's token. If it reports false, the handshake has
// been answered.
func (s *Server) identify(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	claims, err := s.admission.VerifyToken(r)
	var refusal token.Refusal
	switch {
	case errors.As(err, &refusal):
		s.admission.Rejected.Add(string(refusal))
		s.reject(c, w, r)
		return false
	case err != nil:
		s.settleOpening(c, false)
		s.admission.Rejected.Add("token_keys_unavailable")
		admission.Unavailable(w)
		return false
	}
	c.claims = claims
	return claims == nil || len(claims.Identities) == 0 || s.assume(c, w, r)
}

// reject ends a connection as Rails' reject_unauthorized_connection does, of
// which only the browser hears: clients understand a refusal after the 101 only,
// and would try again and again after any other. It keeps its place until the
// browser must have hung up.
func (s *Server) reject(c *Connection, w http.ResponseWriter, r *http.Request) {
	err := c.upgrade(w, r)
	if err != nil {
		s.settleOpening(c, false)
		return
	}
	time.AfterFunc(s.limits.Socket.CloseWait, func() { s.settleOpening(c, false) })
	c.ended = true
	refused := protocol.Disconnect{Reason: protocol.Unauthorized}
	c.socket.Send(socket.Text(refused.Frame()))
	c.socket.SendClose(websocket.CloseNormalClosure, "")
	c.socket.Uncork()
	c.socket.AbortUnlessAnswered()
	c.socket.Start()
}

// A connection that its token identifies is opened without Rails: the app's
// connect does not run. Rails hears of it with its first command, and of its end
// only if there was one.

// assume gives a connection what its token says it is identified by. Rails' own
// rules about origins hold. If it reports false, the handshake has been answered.
func (s *Server) assume(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	rules := s.admission.Rules()
	switch {
	case rules == nil:
		s.settleOpening(c, false)
		s.admission.Rejected.Add("rails_unavailable")
		admission.Unavailable(w)
		return false
	case !rules.Allow(r):
		s.settleOpening(c, false)
		s.admission.RejectOrigin(r)
		admission.PageNotFound(w)
		return false
	}
	c.name = token.ConnectionIdentifier(c.claims.Identities)
	c.identities = token.EncodeIdentities(c.claims.Identities)
	c.claims.Identities = nil // kept in this form only
	return true
}

// assumed is what Rails would have answered to the handshake.
func (c *Connection) assumed() *rpc.Result {
	return &rpc.Result{Status: http.StatusOK, Version: "assumed", Ops: []rpc.Op{
		{Kind: rpc.OpInternal, Stream: internalStream + c.name},
		{Kind: rpc.OpSend, Frame: protocol.Welcome},
	}}
}

// isUnknownToRails reports that no call has been made for the connection yet.
func (c *Connection) isUnknownToRails() bool { return c.version == "" }

// internalStream is what the name of a connection's internal stream begins with
// (actioncable/lib/action_cable/connection/internal_channel.rb).
const internalStream = "action_cable/"
