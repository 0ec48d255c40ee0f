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

// identify checks the handshake's token. If it returns false, it has answered the
// handshake.
func (s *Server) identify(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	claims, err := s.admission.VerifyToken(r)
	var refusal token.Rejection
	switch {
	case errors.As(err, &refusal):
		s.admission.Rejected.Add(string(refusal))
		s.rejectUnauthorized(c, w, r)
		return false
	case err != nil:
		s.finishOpening(c, false)
		s.admission.Rejected.Add("token_keys_unavailable")
		admission.Unavailable(w)
		return false
	}
	c.claims = claims
	return claims == nil || len(claims.Identities) == 0 || s.identifyByToken(c, w, r)
}

// rejectUnauthorized does what Rails' reject_unauthorized_connection does, without
// Rails: after the 101 it sends a disconnect frame. Clients retry forever after any
// other rejection. The connection keeps its place until the browser must have closed.
func (s *Server) rejectUnauthorized(c *Connection, w http.ResponseWriter, r *http.Request) {
	err := c.upgrade(w, r)
	if err != nil {
		s.finishOpening(c, false)
		return
	}
	time.AfterFunc(s.limits.Socket.CloseWait, func() { s.finishOpening(c, false) })
	c.closed = true
	unauthorized := protocol.Disconnect{Reason: protocol.Unauthorized}
	c.socket.Send(socket.Text(unauthorized.Frame()))
	c.socket.SendClose(websocket.CloseNormalClosure, "")
	c.socket.Uncork()
	c.socket.AbortUnlessAnswered()
	c.socket.Start()
}

// A connection that its token identifies is opened without Rails, and the app's
// connect does not run. Rails sees the connection with its first command. If there
// was none, no disconnect callbacks run either.

// identifyByToken identifies a connection by its token, if its origin is allowed by
// Rails' own rules. If it returns false, it has answered the handshake.
func (s *Server) identifyByToken(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	rules := s.admission.Rules()
	switch {
	case rules == nil:
		s.finishOpening(c, false)
		s.admission.Rejected.Add("rails_unavailable")
		admission.Unavailable(w)
		return false
	case !rules.Allow(r):
		s.finishOpening(c, false)
		s.admission.RejectOrigin(r)
		admission.PageNotFound(w)
		return false
	}
	c.name = token.ConnectionIdentifier(c.claims.Identities)
	c.identities = token.EncodeIdentities(c.claims.Identities)
	c.claims.Identities = nil // to save memory: c.identities has them
	return true
}

// openedByToken returns what Rails would have answered to the handshake.
func (c *Connection) openedByToken() *rpc.Result {
	return &rpc.Result{Status: http.StatusOK, Version: "assumed", Ops: []rpc.Op{
		{Kind: rpc.OpInternal, Stream: internalStreamPrefix + c.name},
		{Kind: rpc.OpSend, Frame: protocol.Welcome},
	}}
}

// isUnknownToRails reports whether no call has yet been made for the connection.
func (c *Connection) isUnknownToRails() bool { return c.version == "" }

// internalStreamPrefix begins the name of a connection's internal stream
// (actioncable/lib/action_cable/connection/internal_channel.rb).
const internalStreamPrefix = "action_cable/"
