package cable

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/cable/token"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// A connection that its token identifies is opened without Rails: the app's
// connect does not run. Rails hears of it with its first command, and of its end
// only if there was one.

// assume gives a connection what its token says it is identified by. Rails' own
// rules about origins hold. If it reports false, the handshake has been answered.
func (s *Server) assume(c *Connection, w http.ResponseWriter, r *http.Request) bool {
	switch rules := s.rules.Load(); {
	case rules == nil:
		s.settleOpening(c, false)
		s.turnedAway.add("rails_unavailable")
		s.unavailable(w)
		return false
	case !rules.allow(r):
		s.settleOpening(c, false)
		s.turnedAway.add("origin")
		pageNotFound(w)
		return false
	}
	c.name = connectionIdentifier(c.claims.Identities)
	c.identities = encodeIdentities(c.claims.Identities)
	c.claims.Identities = nil // kept in this form only
	return true
}

// assumed is what Rails would have answered to the handshake.
func (c *Connection) assumed() *rpc.Result {
	return &rpc.Result{Status: http.StatusOK, Kept: true, Ops: []rpc.Op{
		{Kind: rpc.OpInternal, Stream: internalStream + c.name},
		{Kind: rpc.OpSend, Frame: protocol.Welcome},
	}}
}

// isUnknownToRails tells that no call has been made for the connection yet.
func (c *Connection) isUnknownToRails() bool { return c.version == "" }

// internalStream is what the name of a connection's internal stream begins with
// (actioncable/lib/action_cable/connection/internal_channel.rb).
const internalStream = "action_cable/"

// connectionIdentifier is Rails' name for whoever is identified so
// (actioncable/lib/action_cable/connection/identification.rb).
func connectionIdentifier(identities []token.Identity) string {
	var parts []string
	for _, identity := range identities {
		if identity.Record {
			parts = append(parts, base64.RawURLEncoding.EncodeToString([]byte(identity.Value)))
		} else {
			parts = append(parts, identity.Value)
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ":")
}

func encodeIdentities(identities []token.Identity) json.RawMessage {
	values := map[string]any{}
	for _, identity := range identities {
		values[identity.Identifier] = identity.Value
		if identity.Record {
			values[identity.Identifier] = map[string]string{"gid": identity.Value}
		}
	}
	text, _ := json.Marshal(values) // of texts: it cannot fail
	return text
}
