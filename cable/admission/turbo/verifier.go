package turbo

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Verifier verifies names that were signed with one key, as
// ActiveSupport::MessageVerifier does with SHA-256 and JSON.
type Verifier struct{ key []byte }

// NewVerifier makes a verifier; the key is its own from now on.
func NewVerifier(key []byte) *Verifier { return &Verifier{key} }

// Verify returns the name of the stream, if the signature is good and the name
// still holds.
func (v *Verifier) Verify(signed string, now time.Time) (stream string, ok bool) {
	data, digest, ok := cutLast(signed, "--")
	if !ok || !hmac.Equal([]byte(digest), []byte(hex.EncodeToString(mac(v.key, data)))) {
		return "", false
	}
	text, ok := decode(data)
	if !ok {
		return "", false
	}
	var message struct {
		Rails *envelope `json:"_rails"`
	}
	if json.Unmarshal(text, &message) == nil && message.Rails != nil {
		if text, ok = message.Rails.open(now); !ok {
			return "", false
		}
	}
	if json.Unmarshal(text, &stream) != nil {
		return "", false
	}
	return stream, stream != "" // Rails takes the empty name too, which nobody means
}

// envelope is around a name that was signed for a time or a purpose.
type envelope struct {
	Message string          `json:"message"` // base64; before Rails 7.1
	Data    json.RawMessage `json:"data"`
	Expires *time.Time      `json:"exp"`
	Purpose string          `json:"pur"`
}

func (e *envelope) open(now time.Time) (text []byte, ok bool) {
	if e.Purpose != "" || e.Expires != nil && !now.Before(*e.Expires) {
		return nil, false
	}
	if e.Message != "" {
		return decode(e.Message)
	}
	return e.Data, e.Data != nil
}

// decode reads base64 as strictly as Ruby: Go overlooks line breaks.
func decode(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	return decoded, err == nil
}

func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+len(separator):], true
}
