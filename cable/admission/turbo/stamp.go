package turbo

import (
	"crypto/hmac"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// Stamp is what the gem adds to turbo_stream_from: which rendering of a page a subscription comes
// from. The element sends it with every subscribe, also after a reconnect.
type Stamp struct {
	Rendering string    // the same for all elements of one page
	Time      time.Time // of the rendering, by Rails' clock
}

// Stamps reads stamps. The gem's stamps.rb writes them.
type Stamps struct{ key []byte }

// NewStamps returns a Stamps for the secret that catenary and the gem share.
func NewStamps(secret string) *Stamps { return &Stamps{mac([]byte(secret), "catenary stamp v1")} }

// Problems of Stamps.Read.
const (
	NotTurbo = "not_turbo" // the subscription is not to turbo-rails' channel, and has no stamp
	Missing  = "missing"   // it is to turbo-rails' channel, and has no stamp
	Invalid  = "invalid"   // its stamp is not one that the gem has made
)

// param is the name of the stamp in an identifier.
const param = "catenary_stamp"

// stampBytes is how much of its HMAC a stamp has.
const stampBytes = 12

// Read returns the stamp in a subscription's identifier, or what the problem is. A stamp is the
// time in Unix seconds, in base 36, a nonce and the start of an HMAC, joined by dots.
func (s *Stamps) Read(identifier string) (stamp Stamp, problem string) {
	value, found := any(nil), false
	if strings.Contains(identifier, param) {
		value, found = decodeParams(identifier)[param]
	}
	switch {
	case found: // also in other channels: the app lists those that the gem stamps
	case params(identifier) == nil:
		return stamp, NotTurbo
	default:
		return stamp, Missing
	}
	text, _ := value.(string)
	signed, digest, _ := cutLast(text, ".")
	at, nonce, _ := strings.Cut(signed, ".")
	if !hmac.Equal([]byte(digest), []byte(s.digest(signed))) {
		return stamp, Invalid
	}
	seconds, err := strconv.ParseInt(at, 36, 64)
	if err != nil {
		return stamp, Invalid
	}
	return Stamp{nonce, time.Unix(seconds, 0)}, ""
}

// Sign returns the text of a stamp, for tests.
func (s *Stamps) Sign(stamp Stamp) string {
	signed := strconv.FormatInt(stamp.Time.Unix(), 36) + "." + stamp.Rendering
	return signed + "." + s.digest(signed)
}

func (s *Stamps) digest(signed string) string {
	return base64.RawURLEncoding.EncodeToString(mac(s.key, signed)[:stampBytes])
}
