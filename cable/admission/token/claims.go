package token

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims are what catenary needs to know of a good token.
type Claims struct {
	Subject string    // "sub", a number as it is written
	ID      string    // "jti"
	Expires time.Time // with the leeway; zero: never

	Identities []Identity // where they are made of claims
}

// newClaims reads the claims of a token whose signature and times are good.
func newClaims(all jwt.MapClaims, leeway time.Duration) (*Claims, error) {
	c := &Claims{}
	for name, into := range map[string]*string{"sub": &c.Subject, "jti": &c.ID} {
		switch value := all[name].(type) {
		case nil:
		case string:
			*into = value
		case json.Number: // Knock, and tokens made by hand
			*into = value.String()
		default:
			return nil, Malformed
		}
	}
	if beyondClocks(all["nbf"]) {
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

// beyondClocks tells of a number that golang-jwt, which cannot hold it, takes
// for long ago.
func beyondClocks(at any) bool {
	number, ok := at.(json.Number)
	if !ok {
		return false
	}
	seconds, err := number.Float64()
	return err != nil || math.Abs(seconds) > 1<<53
}

// hasScope reports whether "scp" is, or has, the scope: devise-jwt writes one
// word, OAuth words with blanks between, others a list.
func hasScope(all jwt.MapClaims, scope string) bool {
	switch value := all["scp"].(type) {
	case string:
		return slices.Contains(strings.Fields(value), scope)
	case []any:
		return slices.Contains(value, any(scope))
	}
	return false
}
