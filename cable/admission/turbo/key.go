package turbo

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// Keys returns the two keys with which Rails may sign stream names. Rails.application.key_generator
// derives the key from secret_key_base, with SHA-256 in apps with the defaults of Rails 7.0 or
// later, otherwise with SHA-1.
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

// Check returns a signature that the app and catenary compare to see whether they have the same
// key. It reveals no more than the signatures on every page, and nobody can subscribe with it: the
// signed text is not base64, so it is not a stream name.
func Check(key []byte) string { return hex.EncodeToString(mac(key, "catenary turbo v1")) }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
