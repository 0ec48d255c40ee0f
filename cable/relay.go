package cable

import (
	"bytes"
	"log/slog"

	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/protocol"
)

// passThrough sends a command about a passed-through channel to the app's own Action
// Cable. It returns false for other commands. c.mu is held.
func (c *Connection) passThrough(command protocol.Command, text []byte) bool {
	if !c.server.relay.Takes(command) {
		return false
	}
	if c.upstream == nil {
		if command.Kind != protocol.Subscribe {
			return true // nothing to send: Rails would only log it
		}
		c.upstream = c.newUpstream()
	}
	c.upstream.Send(command, bytes.Clone(text))
	return true
}

func (c *Connection) newUpstream() *relay.Upstream {
	l := &c.server.limits
	return c.server.relay.NewUpstream(c.server.context, (*relayed)(c), &c.mu, c.request.AppendTo(nil), relay.Limits{
		PendingBytes: l.Socket.PendingBytes,
		OpenWait:     l.OpenWait, CallWait: l.CallWait, CloseWait: l.Socket.CloseWait,
	})
}

// relayed is a connection as its upstream sees it.
type relayed Connection

func (r *relayed) Send(text string)            { (*Connection)(r).socket.SendText(text) }
func (r *relayed) Admit(bytes int) bool        { return (*Connection)(r).admitSubscription(bytes) }
func (r *relayed) Close(code int, text string) { (*Connection)(r).socket.AnswerClose(code, text) }
func (r *relayed) Gone()                       { (*Connection)(r).server.remove((*Connection)(r)) }
func (r *relayed) Log() *slog.Logger           { return (*Connection)(r).log() }

func (r *relayed) End(reason string, d *protocol.Disconnect) { (*Connection)(r).disconnect(reason, d) }

var _ relay.Browser = (*relayed)(nil)
