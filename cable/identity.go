package cable

import (
	"errors"
	"net/http"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// identify checks the handshake's token. If it returns false, it has answered the
// handshake.
func (s *Server) identify(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	claims, err := s.admission.VerifyToken(r)
	var rejection token.Rejection
	switch {
	case errors.As(err, &rejection):
		s.admission.Rejected.Add(string(rejection))
		s.rejectUnauthorized(c, w, r)
		return false
	case err != nil:
		s.finishOpening(c, false)
		s.admission.Rejected.Add("token_keys_unavailable")
		admission.Unavailable(w)
		return false
	}
	if claims == nil {
		return true
	}
	c.token = &heldToken{Claims: claims}
	return len(claims.Identities) == 0 || s.identifyByToken(c, w, r)
}

// rejectUnauthorized does what Rails' reject_unauthorized_connection does, without
// Rails: it sends a disconnect frame after the 101. After any other rejection, clients
// retry forever. The handshake counts against the limits until CloseWait is over.
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

// identifyByToken takes the connection's identity from its token, if Rails' own rules
// allow the origin. If it returns false, it has answered the handshake.
//
// Such a connection is opened without Rails, and the app's connect does not run. Rails
// learns of the connection with its first command. Without a command, no disconnect
// callbacks run either.
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
	c.name = token.ConnectionIdentifier(c.token.Identities)
	c.token.identities = token.EncodeIdentities(c.token.Identities)
	c.token.Identities = nil // to save memory
	return true
}

// openedByToken reports whether the connection's identity comes from its token.
func (c *Connection) openedByToken() bool { return c.token != nil && c.token.identities != nil }

// openByToken returns what Rails would have answered to the open call.
func (c *Connection) openByToken() *rpc.Result {
	return &rpc.Result{Status: http.StatusOK, Version: "assumed", Ops: []rpc.Op{
		{Kind: rpc.OpInternal, Stream: hub.ConnectionStreams + c.name},
		{Kind: rpc.OpSend, Frame: protocol.Welcome},
	}}
}

// isUnknownToRails reports whether Rails has no objects of the connection: the app's
// middleware rejected it, or its token opened it and no call has run yet.
func (c *Connection) isUnknownToRails() bool { return c.version == "" }
