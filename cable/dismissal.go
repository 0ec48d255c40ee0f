package cable

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/token"
	"github.com/catenary-cable/catenary/protocol"
)

// DismissalStream is where dismissals travel to every node, through the app's
// own pub/sub.
const DismissalStream = "_catenary/disconnect"

// dismissalWindow is how far the clocks of nodes may differ.
const dismissalWindow = time.Minute

// Dismissal asks to end the connections that came with a token. It is signed:
// not everybody who may publish broadcasts may end connections.
type Dismissal struct {
	Subject   string `json:"sub,omitempty"`
	ID        string `json:"jti,omitempty"`
	Reconnect bool   `json:"reconnect"`

	At    int64  `json:"at"`
	Nonce string `json:"nonce"`
}

type signedDismissal struct {
	Dismissal string `json:"dismissal"`
	Signature string `json:"signature"`
}

// Sign makes what is to be published.
func (d Dismissal) Sign(secret string) []byte {
	d.At, d.Nonce = time.Now().Unix(), rand.Text()
	text, _ := json.Marshal(d) // of texts and numbers: it cannot fail
	payload, _ := json.Marshal(signedDismissal{string(text), signDismissal(secret, text)})
	return payload
}

func signDismissal(secret string, text []byte) string {
	key := hmac.New(sha256.New, []byte(secret))
	key.Write([]byte("catenary disconnect v1"))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// dismissals remembers those obeyed, so that none is obeyed twice.
type dismissals struct {
	secret string

	mu   sync.Mutex
	seen map[string]int64 // time by nonce
}

// parse returns a dismissal that is signed, fresh and new, or says why it is
// not obeyed.
func (d *dismissals) parse(payload []byte) (one Dismissal, why string) {
	var signed signedDismissal
	if json.Unmarshal(payload, &signed) != nil {
		return one, "it cannot be read"
	}
	if !hmac.Equal([]byte(signDismissal(d.secret, []byte(signed.Dismissal))), []byte(signed.Signature)) {
		return one, "its signature is wrong: all nodes need the same secret"
	}
	if json.Unmarshal([]byte(signed.Dismissal), &one) != nil {
		return one, "it cannot be read"
	}
	now, window := time.Now().Unix(), int64(dismissalWindow/time.Second)
	if one.At < now-window || one.At > now+window {
		return one, "it is not of now: compare the clocks"
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for nonce, at := range d.seen {
		if at < now-window {
			delete(d.seen, nonce)
		}
	}
	if _, again := d.seen[one.Nonce]; again {
		return one, "it has come before"
	}
	if d.seen == nil {
		d.seen = map[string]int64{}
	}
	d.seen[one.Nonce] = one.At
	return one, ""
}

// dismiss obeys what came on the stream.
func (s *Server) dismiss(payload []byte) {
	one, why := s.dismissals.parse(payload)
	if why != "" {
		s.log.Warn("a request to disconnect is not obeyed", "why", why)
		return
	}
	var found []*Connection
	for key, value := range map[string]string{"sub ": one.Subject, "jti ": one.ID} {
		if value != "" {
			found = append(found, s.holders.find(key+value)...)
		}
	}
	s.log.Info("connections are disconnected as asked", "connections", len(found))
	go func() { // ending takes locks that the hub may be waited for under
		for _, c := range found {
			c.end("remote", &protocol.Disconnect{Reason: protocol.Remote, Reconnect: one.Reconnect})
		}
	}()
}

// RemoteDisconnect is what Rails publishes for
// ActionCable.server.remote_connections.where(…).disconnect. identifiers are
// the values of what the connection is identified by: Global IDs
// ("gid://app/User/7") or texts (actioncable/lib/action_cable/connection/identification.rb).
func RemoteDisconnect(identifiers []string, reconnect bool) (stream string, payload []byte) {
	var identities []token.Identity
	for _, identifier := range identifiers {
		identities = append(identities, token.Identity{Value: identifier, Record: strings.HasPrefix(identifier, "gid://")})
	}
	payload, _ = json.Marshal(map[string]any{"type": "disconnect", "reconnect": reconnect})
	return internalStream + connectionIdentifier(identities), payload
}
