package rpc

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
	"sync"
	"time"
)

// signer signs calls as docs/rpc.md says. It holds a key, never printed.
type signer struct {
	macs sync.Pool // of hash.Hash, with the key
}

func newSigner(secret string) *signer {
	mac := hmac.New(sha256.New, []byte(secret))
	io.WriteString(mac, "catenary rpc v1")
	key := mac.Sum(nil)
	return &signer{sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}}
}

// appendHeaders writes the three header lines that prove the body to be ours.
func (s *signer) appendHeaders(b, body []byte, now time.Time) []byte {
	b = append(b, "Catenary-Time: "...)
	at := len(b)
	b = strconv.AppendInt(b, now.Unix(), 10)
	unix := b[at:]
	b = append(b, "\r\nCatenary-Nonce: "...)
	var random [16]byte
	rand.Read(random[:]) // never fails
	at = len(b)
	b = hex.AppendEncode(b, random[:])
	nonce := b[at:]

	mac := s.macs.Get().(hash.Hash)
	mac.Reset()
	io.WriteString(mac, "v1\n")
	mac.Write(unix)
	io.WriteString(mac, "\n")
	mac.Write(nonce)
	io.WriteString(mac, "\n")
	mac.Write(body)
	var sum [sha256.Size]byte
	signature := mac.Sum(sum[:0])
	s.macs.Put(mac)
	b = append(b, "\r\nCatenary-Signature: "...)
	b = hex.AppendEncode(b, signature)
	return append(b, "\r\n"...)
}
