package cable

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/protocol"
)

// revoke obeys what came on the stream of revocations.
func (s *Server) revoke(payload []byte) {
	one, reason := s.revocations.Verify(payload)
	if reason != "" {
		s.log.Warn("a request to disconnect is not obeyed", "reason", reason)
		return
	}
	var found []*Connection
	for key, value := range map[string]string{"sub ": one.Subject, "jti ": one.ID} {
		if value != "" {
			found = append(found, s.tokens.find(key+value)...)
		}
	}
	s.log.Info("connections are disconnected as asked", "connections", len(found))
	s.met(one.Asked, len(found))
	go func() { // ending takes locks that the hub may be waited for under
		for _, c := range found {
			c.end("remote_disconnect", &protocol.Disconnect{Reason: protocol.Remote, Reconnect: one.Reconnect})
		}
	}()
}

// RemoteDisconnect is what Rails publishes for
// ActionCable.server.remote_connections.where(…).disconnect. identifiers are
// the values of what the connection is identified by: Global IDs
// ("gid://app/User/7") or texts (actioncable/lib/action_cable/connection/identification.rb).
// asked is who wants to know how many there were, or "": Rails passes over it.
func RemoteDisconnect(identifiers []string, reconnect bool, asked string) (stream string, payload []byte) {
	var identities []token.Identity
	for _, identifier := range identifiers {
		identities = append(identities, token.Identity{Value: identifier, Record: strings.HasPrefix(identifier, "gid://")})
	}
	message := map[string]any{"type": "disconnect", "reconnect": reconnect}
	if asked != "" {
		message["asked"] = asked
	}
	payload, _ = json.Marshal(message)
	return internalStream + token.ConnectionIdentifier(identities), payload
}

// tokenExpired is the reason that a browser is told at its token's "exp".
const tokenExpired = "token_expired"

// connectionsByToken are the connections that came with a token: by whose it is,
// so that they can be found, and by when it expires. One ticker serves them all.
type connectionsByToken struct {
	mu     sync.Mutex
	by     map[string][]*Connection           // "sub 7", "jti 0b1e"
	expire map[int64]map[*Connection]struct{} // by Unix second
	done   int64                              // the last second that has been seen to
}

func (t *connectionsByToken) init() {
	t.by, t.expire, t.done = map[string][]*Connection{}, map[int64]map[*Connection]struct{}{}, time.Now().Unix()
}

// add is called once, with c.mu held and c not ended.
func (t *connectionsByToken) add(c *Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range c.tokenKeys() {
		t.by[key] = append(t.by[key], c)
	}
	if c.claims.Expires.IsZero() {
		return
	}
	c.expires = max(c.claims.Expires.Unix(), t.done+1)
	if t.expire[c.expires] == nil {
		t.expire[c.expires] = map[*Connection]struct{}{}
	}
	t.expire[c.expires][c] = struct{}{}
}

func (t *connectionsByToken) remove(c *Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range c.tokenKeys() {
		left := slices.DeleteFunc(t.by[key], func(other *Connection) bool { return other == c })
		if t.by[key] = left; len(left) == 0 {
			delete(t.by, key)
		}
	}
	delete(t.expire[c.expires], c)
	if len(t.expire[c.expires]) == 0 {
		delete(t.expire, c.expires)
	}
}

// tokenKeys are the keys under which a connection can be found.
func (c *Connection) tokenKeys() (keys []string) {
	if c.claims.Subject != "" {
		keys = append(keys, "sub "+c.claims.Subject)
	}
	if c.claims.ID != "" {
		keys = append(keys, "jti "+c.claims.ID)
	}
	return keys
}

func (t *connectionsByToken) find(key string) []*Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.by[key])
}

// run ends connections whose token has expired. A browser with a fresh token
// comes back, one without is refused then.
func (t *connectionsByToken) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			t.endExpired(now)
		}
	}
}

func (t *connectionsByToken) endExpired(now time.Time) {
	for _, c := range t.expired(now.Unix()) {
		c.end(tokenExpired, &protocol.Disconnect{Reason: tokenExpired, Reconnect: true})
	}
}

func (t *connectionsByToken) expired(now int64) (gone []*Connection) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now-t.done > 60 { // the clock has been set
		for second, crowd := range t.expire {
			if second < now {
				for c := range crowd {
					gone = append(gone, c)
				}
			}
		}
	}
	for second := max(t.done+1, now-60); second <= now; second++ {
		for c := range t.expire[second] {
			gone = append(gone, c)
		}
	}
	t.done = max(t.done, now)
	return gone
}
