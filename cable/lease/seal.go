package lease

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
)

// sealer seals the records of one node, for all who have the same secret. Each
// node has a key of its own, so that none is used for very many records.
type sealer struct{ cipher.AEAD }

// newSealer derives AES-256-GCM's key from the secret and the node's name.
func newSealer(secret, name string) sealer {
	block, _ := aes.NewCipher(derive(derive([]byte(secret), "catenary lease v1"), name)) // 32 bytes are a key
	aead, _ := cipher.NewGCMWithRandomNonce(block)
	return sealer{aead}
}

func derive(key []byte, purpose string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(purpose))
	return mac.Sum(nil)
}

// seal binds a record to its connection.
func (s sealer) seal(to []byte, connection string, text []byte) []byte {
	return s.Seal(to, nil, text, []byte(connection))
}

func (s sealer) open(connection string, sealed []byte) ([]byte, error) {
	text, err := s.Open(nil, nil, sealed, []byte(connection))
	if err != nil {
		return nil, errors.New("it was sealed with another secret: give all nodes the same one")
	}
	return text, nil
}
