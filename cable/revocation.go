package cable

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/protocol"
)

// revoke handles a message on the stream of revocations.
func (s *Server) revoke(payload []byte) {
	revocation, reason := s.revocations.Verify(payload)
	if reason != "" {
		s.log.Warn("request to disconnect ignored", "reason", reason)
		return
	}
	var found []*Connection
	for _, key := range tokenKeys(revocation.Subject, revocation.ID) {
		found = append(found, s.tokens.find(key)...)
	}
	s.log.Info("connections disconnected on request", "connections", len(found))
	s.countDisconnected(revocation.Asked, len(found))
	d := &protocol.Disconnect{Reason: protocol.Remote, Reconnect: revocation.Reconnect}
	go func() { // disconnect takes locks whose holders may wait for the hub, our caller
		for _, c := range found {
			c.disconnect("remote_disconnect", d)
		}
	}()
}

// RemoteDisconnect returns what Rails publishes for
// ActionCable.server.remote_connections.where(…).disconnect. identifiers are the
// values by which the connection is identified: Global IDs ("gid://app/User/7") or
// texts (actioncable/lib/action_cable/connection/identification.rb). request has the
// nodes report on DisconnectCountStream(request) how many connections they have
// closed; "": they do not. Rails ignores it.
func RemoteDisconnect(identifiers []string, reconnect bool, request string) (stream string, payload []byte) {
	var identities []token.Identity
	for _, identifier := range identifiers {
		isRecord := strings.HasPrefix(identifier, "gid://")
		identities = append(identities, token.Identity{Value: identifier, Record: isRecord})
	}
	message := map[string]any{"type": "disconnect", "reconnect": reconnect}
	if request != "" {
		message["asked"] = request
	}
	payload, _ = json.Marshal(message)
	return hub.ConnectionStreams + token.ConnectionIdentifier(identities), payload
}

// tokenExpired is the reason for disconnects at the "exp" of a token.
const tokenExpired = "token_expired"

// connectionsByToken finds connections by the subject and the id of their tokens,
// and disconnects them when their tokens expire.
type connectionsByToken struct {
	mu       sync.Mutex
	byKey    map[string][]*Connection           // "sub 7", "jti 0b1e"
	byExpiry map[int64]map[*Connection]struct{} // by Unix second
	checked  int64                              // Unix second up to which expired has returned them
}

func (t *connectionsByToken) init() {
	t.byKey = map[string][]*Connection{}
	t.byExpiry = map[int64]map[*Connection]struct{}{}
	t.checked = time.Now().Unix()
}

// add is called at most once for a connection, while it is open. c.mu is held.
func (t *connectionsByToken) add(c *Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range tokenKeys(c.token.Subject, c.token.ID) {
		t.byKey[key] = append(t.byKey[key], c)
	}
	if c.token.Expires.IsZero() {
		return
	}
	c.token.expires = max(c.token.Expires.Unix(), t.checked+1)
	if t.byExpiry[c.token.expires] == nil {
		t.byExpiry[c.token.expires] = map[*Connection]struct{}{}
	}
	t.byExpiry[c.token.expires][c] = struct{}{}
}

func (t *connectionsByToken) remove(c *Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range tokenKeys(c.token.Subject, c.token.ID) {
		left := slices.DeleteFunc(t.byKey[key], func(other *Connection) bool { return other == c })
		if len(left) == 0 {
			delete(t.byKey, key)
		} else {
			t.byKey[key] = left
		}
	}
	delete(t.byExpiry[c.token.expires], c)
	if len(t.byExpiry[c.token.expires]) == 0 {
		delete(t.byExpiry, c.token.expires)
	}
}

// tokenKeys returns the keys of connectionsByToken.byKey for a token.
func tokenKeys(subject, id string) (keys []string) {
	if subject != "" {
		keys = append(keys, "sub "+subject)
	}
	if id != "" {
		keys = append(keys, "jti "+id)
	}
	return keys
}

func (t *connectionsByToken) find(key string) []*Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.byKey[key])
}

// run disconnects connections whose token has expired. Their browsers reconnect: with
// a fresh token they are accepted, with the old one rejected.
func (t *connectionsByToken) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.disconnectExpired(now)
		}
	}
}

func (t *connectionsByToken) disconnectExpired(now time.Time) {
	for _, c := range t.expired(now.Unix()) {
		c.disconnect(tokenExpired, &protocol.Disconnect{Reason: tokenExpired, Reconnect: true})
	}
}

// expired returns the connections whose tokens have expired since the last call.
func (t *connectionsByToken) expired(now int64) (expired []*Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now-t.checked > 60 { // the clock has been set, or the machine was suspended
		for second, connections := range t.byExpiry {
			if second < now {
				for c := range connections {
					expired = append(expired, c)
				}
			}
		}
	}
	for second := max(t.checked+1, now-60); second <= now; second++ {
		for c := range t.byExpiry[second] {
			expired = append(expired, c)
		}
	}
	t.checked = max(t.checked, now)
	return expired
}
