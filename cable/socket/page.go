package socket

import (
	"crypto/sha256"
	"encoding/binary"
)

// Page identifies the page that a browser shows, so that a broadcast can leave it out. It is a hash
// of a token that the page has made. 0 is no page.
type Page uint64

// Bounds of a page's token, in bytes. A shorter one could be guessed. The gem has the same
// (others.rb).
const (
	minPageToken = 16
	maxPageToken = 128
)

// PageOf returns the page of a token, or 0 if the token is not valid.
func PageOf(token string) Page {
	if len(token) < minPageToken || len(token) > maxPageToken {
		return 0
	}
	sum := sha256.Sum256([]byte(token))
	return Page(binary.BigEndian.Uint64(sum[:]))
}
