package cable

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/catenary-cable/catenary/cable/token"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/gorilla/websocket"
)

// Edge is what is decided about handshakes before Rails is asked. Its zero value
// leaves everything to Rails.
type Edge struct {
	Tokens  *token.Verifier
	Origins *Origins
	Proxies Proxies

	Compress bool // what is long, for browsers that offer permessage-deflate
}

// identify checks the handshake's token. If it reports false, the handshake has
// been answered.
func (s *Server) identify(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	if s.edge.Tokens == nil {
		return true
	}
	claims, err := s.edge.Tokens.Verify(r)
	var refusal token.Refusal
	switch {
	case errors.As(err, &refusal):
		s.turnedAway.add(string(refusal))
		s.turnAway(c, w, r)
		return false
	case err != nil:
		s.settleOpening(c, false)
		s.turnedAway.add("token_keys_unavailable")
		s.unavailable(w)
		return false
	}
	c.claims = claims
	return claims == nil || len(claims.Identities) == 0 || s.assume(c, w, r)
}

// turnAway ends a connection as Rails' reject_unauthorized_connection does, of
// which only the browser hears: clients understand a refusal after the 101 only,
// and would try again and again after any other. It keeps its place until the
// browser must have hung up.
func (s *Server) turnAway(c *Connection, w http.ResponseWriter, r *http.Request) {
	ws, err := c.upgrade(w, r)
	if err != nil {
		s.settleOpening(c, false)
		return
	}
	time.AfterFunc(s.limits.CloseWait, func() { s.settleOpening(c, false) })
	c.ended = true
	refused := protocol.Disconnect{Reason: protocol.Unauthorized}
	c.socket.write(frame(textFrame, refused.Frame()))
	c.socket.finish(closing(websocket.CloseNormalClosure))
	c.socket.uncork()
	c.socket.abortAfter(s.limits.CloseWait)
	ws.SetReadLimit(s.limits.MessageBytes)
	ws.SetPingHandler(func(string) error { return nil })
	ws.SetCloseHandler(c.answerClose)
	c.reader.start(s.poller)
}

// tooMany answers a handshake that is over a limit.
func (s *Server) tooMany(w http.ResponseWriter, over *overLimit) {
	s.turnedAway.add(over.limit)
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, http.StatusText(over.status), over.status)
}
