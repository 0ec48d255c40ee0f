package turbo

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"
)

// Verifier verifies names that ActiveSupport::MessageVerifier has signed with SHA-256 and JSON.
type Verifier struct{ key []byte }

// NewVerifier returns a Verifier, which keeps the key.
func NewVerifier(key []byte) *Verifier { return &Verifier{key} }

// Verify returns the name of the stream. It returns false if the signature is wrong or has expired.
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
		text, ok = message.Rails.open(now)
		if !ok {
			return "", false
		}
	}
	if json.Unmarshal(text, &stream) != nil {
		return "", false
	}
	return stream, stream != "" // Rails accepts an empty name too, which no app uses
}

// envelope surrounds a name that was signed with an expiry or a purpose.
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

// decode decodes base64 as strictly as Ruby; Go ignores line breaks.
func decode(text string) ([]byte, bool) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, false
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	return decoded, err == nil
}

// cutLast is strings.Cut at the last separator.
func cutLast(text, separator string) (before, after string, found bool) {
	i := strings.LastIndex(text, separator)
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+len(separator):], true
}
