package token

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are the claims of a valid token that catenary uses.
type Claims struct {
	Subject string    // "sub"; a number as text
	ID      string    // "jti"
	Expires time.Time // "exp" plus the leeway; zero: never

	Identities []Identity // made from Options.Identify
}

// newClaims reads the claims of a token whose signature and times are valid.
func newClaims(all jwt.MapClaims, leeway time.Duration) (*Claims, error) {
	c := &Claims{}
	for name, field := range map[string]*string{"sub": &c.Subject, "jti": &c.ID} {
		switch value := all[name].(type) {
		case nil:
		case string:
			*field = value
		case json.Number: // the gem knock, and hand-made tokens
			*field = value.String()
		default:
			return nil, Malformed
		}
	}
	if tooLarge(all["nbf"]) {
		return nil, Malformed
	}
	expires, err := all.GetExpirationTime()
	if err != nil {
		return nil, Malformed
	}
	if expires != nil {
		c.Expires = expires.Add(leeway)
	}
	return c, nil
}

// tooLarge reports whether golang-jwt would overflow at a time and take it for one in the past.
func tooLarge(at any) bool {
	number, ok := at.(json.Number)
	if !ok {
		return false
	}
	seconds, err := number.Float64()
	return err != nil || math.Abs(seconds) > 1<<53
}

// hasScope reports whether "scp" contains the scope: devise-jwt writes one word, OAuth words
// separated by spaces, others a list.
func hasScope(all jwt.MapClaims, scope string) bool {
	switch value := all["scp"].(type) {
	case string:
		return slices.Contains(strings.Fields(value), scope)
	case []any:
		return slices.Contains(value, any(scope))
	}
	return false
}
