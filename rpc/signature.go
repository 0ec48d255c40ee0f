package rpc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// signer signs requests with one secret (docs/rpc.md, "The secret"). Never print its key.
type signer struct {
	secret string
	key    []byte
	macs   sync.Pool // of hash.Hash with the key
}

func newSigner(secret string) *signer {
	key := mac([]byte(secret), "catenary rpc v1")
	return &signer{secret, key, sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// signers are the signers of all secrets that Rails may have. One is in use.
type signers struct {
	all   []*signer
	inUse atomic.Int32 // index into all
}

func newSigners(secrets []string) *signers {
	s := &signers{}
	for _, secret := range secrets {
		s.all = append(s.all, newSigner(secret))
	}
	return s
}

func (s *signers) current() *signer { return s.all[s.inUse.Load()] }

// withEachSecret calls f with one signer after the other until Rails does not reject it, and keeps
// using that one. It returns what the last f returned.
func withEachSecret[T any](s *signers, f func(*signer) (T, error)) (result T, err error) {
	for range s.all {
		used := s.inUse.Load()
		result, err = f(s.all[used])
		if err == nil || !rejected(err) {
			return result, err
		}
		s.inUse.CompareAndSwap(used, (used+1)%int32(len(s.all)))
	}
	return result, err
}

// rejected reports whether Rails answered as it does to a wrong signature: with 403, or as the app
// answers an unknown path.
func rejected(err error) bool {
	var answer *StatusError
	return errors.As(err, &answer) &&
		answer.Status < http.StatusInternalServerError && answer.Status != http.StatusBadRequest
}

// Secret returns the secret that Rails accepted last, or the first one if it has accepted none.
func (c *Client) Secret() string { return c.signers.current().secret }

// sign adds Catenary-Time, -Nonce and -Signature to header. It signs purpose, time, nonce and
// parts, joined by newlines, and returns the nonce.
func (s *signer) sign(
	header http.Header, purpose string, now time.Time, parts ...[]byte,
) (nonce string) {
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

// newNonce returns 32 random hexadecimal digits.
func newNonce() string {
	var random [16]byte
	rand.Read(random[:]) // never fails
	return hex.EncodeToString(random[:])
}

// mac returns the HMAC-SHA256 of text.
func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	io.WriteString(m, text)
	return m.Sum(nil)
}

// proves reports whether proof is the MAC of text in hexadecimal.
func proves(key []byte, proof, text string) bool {
	given, err := hex.DecodeString(proof)
	return err == nil && hmac.Equal(given, mac(key, text))
}
