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

// RevocationStream is the stream of the app's pub/sub on which every node receives revocations.
const RevocationStream = "_catenary/disconnect"

// revocationWindow is how far the clocks of nodes may differ.
const revocationWindow = time.Minute

// Revocation closes the connections that were opened with a token. It is signed, since not everyone
// who can publish broadcasts may close connections.
type Revocation struct {
	Subject   string `json:"sub,omitempty"`
	ID        string `json:"jti,omitempty"`
	Reconnect bool   `json:"reconnect"`
	Asked     string `json:"asked,omitempty"` // request to which nodes report how many they closed; "": none

	At    int64  `json:"at"` // Unix seconds
	Nonce string `json:"nonce"`
}

type signedRevocation struct {
	Revocation string `json:"revocation"`
	Signature  string `json:"signature"`
}

// Sign returns the payload to be published.
func (r Revocation) Sign(secret string) []byte {
	r.At = time.Now().Unix()
	r.Nonce = rand.Text()
	text, _ := json.Marshal(r) // cannot fail for strings and numbers
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

// Revocations verifies revocations and accepts each once.
type Revocations struct {
	Secret string // shared by all nodes

	mu   sync.Mutex
	seen map[string]int64 // Revocation.At by nonce
}

// Verify returns a revocation, or the reason to reject it: its signature is wrong, or it is too old
// or a repetition.
func (r *Revocations) Verify(payload []byte) (one Revocation, reason string) {
	var signed signedRevocation
	if json.Unmarshal(payload, &signed) != nil {
		return one, "invalid JSON"
	}
	if !hmac.Equal([]byte(signRevocation(r.Secret, []byte(signed.Revocation))), []byte(signed.Signature)) {
		return one, "its signature is wrong: all nodes need the same secret"
	}
	if json.Unmarshal([]byte(signed.Revocation), &one) != nil {
		return one, "invalid JSON"
	}
	now := time.Now().Unix()
	window := int64(revocationWindow / time.Second)
	if one.At < now-window || one.At > now+window {
		return one, "its time is more than a minute off: compare the clocks"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for nonce, at := range r.seen {
		if at < now-window {
			delete(r.seen, nonce)
		}
	}
	if _, repeated := r.seen[one.Nonce]; repeated {
		return one, "it was received before"
	}
	if r.seen == nil {
		r.seen = map[string]int64{}
	}
	r.seen[one.Nonce] = one.At
	return one, ""
}
