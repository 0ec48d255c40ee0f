package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// catenary can verify the signed names of Turbo's streams itself. Rails never sees
// such a subscription: no command about it is a call, and no call mentions it.

// VerifyStreams has new subscriptions to Turbo's streams answered without Rails; with
// nil, by Rails. Existing ones stay as they are.
func (s *Server) VerifyStreams(v *turbo.Verifier) { s.verifier.Store(v) }

// answerTurbo answers a command about one of Turbo's streams. It returns false if Rails
// must see the command, also because Rails holds the subscription. c.mu is held.
func (c *Connection) answerTurbo(command protocol.Command) bool {
	if s := c.subscriptions.find(command.Identifier); s != nil {
		if s.verified {
			c.changeVerified(s, command.Kind)
		}
		return s.verified
	}
	verifier := c.server.verifier.Load()
	if verifier == nil {
		return false
	}
	signed, ok := turbo.SignedName(command.Identifier)
	if !ok {
		return false
	}
	if command.Kind != protocol.Subscribe {
		return true // Rails would only log that there is no such subscription
	}
	stream, ok := verifier.Verify(signed, time.Now())
	if !ok {
		c.server.badStreamNames.Add("bad signature or expired")
	}
	admitted := ok && c.admitSubscription(len(command.Identifier))
	if !admitted {
		c.socket.SendText(string(protocol.Reject(command.Identifier)))
		return true
	}
	s := c.findOrAddSubscription(command.Identifier)
	s.verified = true
	s.wanted = true
	s.setLive(true)
	s.follow(stream, nil)
	s.confirmation = socket.Text(protocol.Confirm(s.identifier))
	s.sendConfirmation()
	return true
}

// changeVerified handles a further command about a verified subscription. Turbo's
// channel has no actions.
func (c *Connection) changeVerified(s *subscription, kind protocol.Kind) {
	switch kind {
	case protocol.Subscribe:
		c.server.count.repeated.Add(1)
	case protocol.Unsubscribe:
		s.setLive(false)
		s.leaveAll()
		c.subscriptions.remove(s)
	}
}
