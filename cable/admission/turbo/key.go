package turbo

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Keys are what Rails may sign stream names with: what
// Rails.application.key_generator makes of secret_key_base, with SHA-256 where
// the app has the defaults of Rails 7.0 or later, else with SHA-1.
func Keys(secretKeyBase string) [][]byte {
	return [][]byte{derive(sha256.New, secretKeyBase), derive(sha1.New, secretKeyBase)}
}

func derive[H hash.Hash](digest func() H, secretKeyBase string) []byte {
	key, err := pbkdf2.Key(digest, secretKeyBase, []byte("turbo/signed_stream_verifier_key"), 1000, 64)
	if err != nil {
		panic(err) // only where FIPS 140 forbids SHA-1
	}
	return key
}

// Check is what the app tells of its key, in order to find out whether we have
// the same. A key signs text for every page, so this gives nothing away; and it
// is no stream's name, for the text is no base64.
func Check(key []byte) string { return hex.EncodeToString(mac(key, "catenary turbo v1")) }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
