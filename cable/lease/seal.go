package lease

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"slices"
)

// sealer encrypts the records of one node; any node with the same secret can open them. Each node
// has its own key, which keeps the number of random nonces per key small.
type sealer struct{ cipher.AEAD }

// newSealer derives an AES-256-GCM key from the secret and the node's name.
func newSealer(secret, name string) sealer {
	key := derive(derive([]byte(secret), "catenary lease v1"), name)
	block, _ := aes.NewCipher(key) // cannot fail: the key has 32 bytes
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}
}

func derive(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// seal appends the sealed record to dst. It can be opened for the same connection only.
func (s sealer) seal(dst []byte, connection string, text []byte) []byte {
	dst = slices.Grow(dst, len(text)+s.Overhead()) // Seal would grow it for this record only
	return s.Seal(dst, nil, text, []byte(connection))
}

func (s sealer) open(connection string, sealed []byte) ([]byte, error) {
	text, err := s.Open(nil, nil, sealed, []byte(connection))
	if err != nil {
		return nil, errors.New("record is sealed with another secret: give all nodes the same one")
	}
	return text, nil
}
