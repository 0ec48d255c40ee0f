package token

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"sync"
	"time"
)

// RevocationStream is where revocations travel to every node, through the app's
// own pub/sub.
const RevocationStream = "_catenary/disconnect"

// revocationWindow is how far the clocks of nodes may differ.
const revocationWindow = time.Minute

// Revocation asks to end the connections that came with a token. It is signed:
// not everybody who may publish broadcasts may end connections.
type Revocation struct {
	Subject   string `json:"sub,omitempty"`
	ID        string `json:"jti,omitempty"`
	Reconnect bool   `json:"reconnect"`
	Asked     string `json:"asked,omitempty"` // by whom, who wants to know how many there were

	At    int64  `json:"at"`
	Nonce string `json:"nonce"`
}

type signedRevocation struct {
	Revocation string `json:"dismissal"`
	Signature  string `json:"signature"`
}

// Sign returns the payload to be published.
func (r Revocation) Sign(secret string) []byte {
	r.At, r.Nonce = time.Now().Unix(), rand.Text()
	text, _ := json.Marshal(r) // of texts and numbers: it cannot fail
	payload, _ := json.Marshal(signedRevocation{string(text), signRevocation(secret, text)})
	return payload
}

func signRevocation(secret string, text []byte) string {
	key := hmac.New(sha256.New, []byte(secret))
	key.Write([]byte("catenary disconnect v1"))
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// Revocations remembers those obeyed, so that none is obeyed twice.
type Revocations struct {
	Secret string // all nodes have it

	mu   sync.Mutex
	seen map[string]int64 // time by nonce
}

// Verify returns a revocation that is signed, fresh and new, or says why it is
// not obeyed.
func (r *Revocations) Verify(payload []byte) (one Revocation, reason string) {
	var signed signedRevocation
	if json.Unmarshal(payload, &signed) != nil {
		return one, "it cannot be read"
	}
	if !hmac.Equal([]byte(signRevocation(r.Secret, []byte(signed.Revocation))), []byte(signed.Signature)) {
		return one, "its signature is wrong: all nodes need the same secret"
	}
	if json.Unmarshal([]byte(signed.Revocation), &one) != nil {
		return one, "it cannot be read"
	}
	now, window := time.Now().Unix(), int64(revocationWindow/time.Second)
	if one.At < now-window || one.At > now+window {
		return one, "it is not of now: compare the clocks"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for nonce, at := range r.seen {
		if at < now-window {
			delete(r.seen, nonce)
		}
	}
	if _, again := r.seen[one.Nonce]; again {
		return one, "it has come before"
	}
	if r.seen == nil {
		r.seen = map[string]int64{}
	}
	r.seen[one.Nonce] = one.At
	return one, ""
}
