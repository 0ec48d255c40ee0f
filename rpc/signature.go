package rpc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// signer signs calls and links as docs/rpc.md says. It holds a key, which is
// never printed.
type signer struct {
	key  []byte
	macs sync.Pool // of hash.Hash, with the key
}

func newSigner(secret string) *signer {
	key := mac([]byte(secret), "catenary rpc v1")
	return &signer{key, sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// sign adds the three headers that prove a request to be ours. What is signed is
// the purpose, the time, the nonce and the parts, each on a line of its own. It
// returns the nonce.
func (s *signer) sign(header http.Header, purpose string, now time.Time, parts ...[]byte) (nonce string) {
	unix := strconv.FormatInt(now.Unix(), 10)
	nonce = newNonce()
	mac := s.macs.Get().(hash.Hash)
	mac.Reset()
	io.WriteString(mac, purpose+"\n"+unix+"\n"+nonce)
	for _, part := range parts {
		io.WriteString(mac, "\n")
		mac.Write(part)
	}
	header.Set("Catenary-Time", unix)
	header.Set("Catenary-Nonce", nonce)
	header.Set("Catenary-Signature", hex.EncodeToString(mac.Sum(nil)))
	s.macs.Put(mac)
	return nonce
}

// newNonce returns 32 hexadecimal digits at random.
func newNonce() string {
	var random [16]byte
	rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	io.WriteString(m, text)
	return m.Sum(nil)
}

// proves reports whether a hexadecimal proof is the key's MAC of text.
func proves(key []byte, proof, text string) bool {
	given, err := hex.DecodeString(proof)
	return err == nil && hmac.Equal(given, mac(key, text))
}
