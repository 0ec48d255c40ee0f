package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// Turbo's streams can be verified here. Rails then knows nothing of such a
// subscription: not one command about it is a call, and no call tells of it.

// VerifyStreams has subscriptions to Turbo's streams answered without Rails from
// now on. nil: Rails answers; subscriptions that stand are not touched.
func (s *Server) VerifyStreams(v *turbo.Verifier) { s.verifier.Store(v) }

// verify takes a command about a stream of Turbo's, and reports false if it is
// for Rails: so are those about a subscription that Rails has been asked for.
// c.mu is held.
func (c *Connection) verify(command protocol.Command) bool {
	if s := c.subscriptions.find(command.Identifier); s != nil {
		if s.verified {
			c.again(s, command.Kind)
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
		return true // Rails logs that there is no such subscription
	}
	stream, ok := verifier.Verify(signed, time.Now())
	if !ok {
		c.server.badNames.Add("bad signature, or its time is over")
	}
	if !ok || !c.admits(len(command.Identifier)) {
		c.socket.SendText(string(protocol.Reject(command.Identifier)))
		return true
	}
	s := c.subscription(command.Identifier)
	s.verified, s.wanted = true, true
	s.setLive(true)
	s.follow(stream, nil)
	s.confirm = socket.Text(protocol.Confirm(s.identifier))
	s.sendConfirm()
	return true
}

// again takes a further command about a verified subscription. Turbo's channel
// has no actions.
func (c *Connection) again(s *subscription, kind protocol.Kind) {
	switch kind {
	case protocol.Subscribe:
		c.server.count.repeated.Add(1)
	case protocol.Unsubscribe:
		s.setLive(false)
		s.leaveAll()
		c.subscriptions.remove(s)
	}
}
