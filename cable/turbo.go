package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// catenary can verify the signed names of Turbo's streams itself. Rails never sees
// such a subscription: no command about it is a call, and no call mentions it.

// VerifyStreams has subscriptions to Turbo's streams answered without Rails from now
// on. With nil, Rails answers new ones; existing ones stay as they are.
func (s *Server) VerifyStreams(v *turbo.Verifier) { s.verifier.Store(v) }

// verify handles a command about one of Turbo's streams. It returns false if Rails
// must see the command; so it does if Rails holds the subscription. c.mu is held.
func (c *Connection) verify(command protocol.Command) bool {
	if s := c.subscriptions.find(command.Identifier); s != nil {
		if s.verified {
			c.repeatVerified(s, command.Kind)
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
	if !ok || !c.admitSubscription(len(command.Identifier)) {
		c.socket.SendText(string(protocol.Reject(command.Identifier)))
		return true
	}
	s := c.subscription(command.Identifier)
	s.verified, s.wanted = true, true
	s.setLive(true)
	s.follow(stream, nil)
	s.confirmation = socket.Text(protocol.Confirm(s.identifier))
	s.sendConfirmation()
	return true
}

// repeatVerified handles a further command about a verified subscription. Turbo's
// channel has no actions.
func (c *Connection) repeatVerified(s *subscription, kind protocol.Kind) {
	switch kind {
	case protocol.Subscribe:
		c.server.count.repeated.Add(1)
	case protocol.Unsubscribe:
		s.setLive(false)
		s.leaveAll()
		c.subscriptions.remove(s)
	}
}
