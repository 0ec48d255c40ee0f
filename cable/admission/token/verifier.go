package token

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// maxLength bounds a token, in bytes.
const maxLength = 8 << 10

// Options say which tokens are valid. An empty field is not checked.
type Options struct {
	Places

	// Algorithms are those allowed; empty: the usual one of each key.
	Algorithms     []string
	Secret         string
	RotationSecret string   // the previous or the next one
	PublicKeyFiles []string // PEM
	JWKSURL        string

	Issuer         string
	Audience       []string // the token must have one of them
	Scope          string
	ExpiryOptional bool
	IDRequired     bool // "jti"
	Identify       []Template
	Leeway         time.Duration

	Optional bool // a handshake without a token is left to Rails
	Log      *slog.Logger
}

// Verifier verifies the tokens of handshakes. With a JWKS it needs Run to fetch the keys.
type Verifier struct {
	options    Options
	keys       keys
	algorithms []string
	parser     *jwt.Parser
}

// New reads the key files. Its errors name the wrong setting.
func New(o Options) (*Verifier, error) {
	keys, algorithms, err := readKeys(o)
	if err != nil {
		return nil, err
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithJSONNumber(), jwt.WithLeeway(o.Leeway),
	}
	if !o.ExpiryOptional {
		options = append(options, jwt.WithExpirationRequired())
	}
	if o.Issuer != "" {
		options = append(options, jwt.WithIssuer(o.Issuer))
	}
	if len(o.Audience) > 0 {
		options = append(options, jwt.WithAudience(o.Audience...))
	}
	return &Verifier{options: o, keys: keys, algorithms: algorithms, parser: jwt.NewParser(options...)}, nil
}

// Run fetches the keys of a JWKS regularly until ctx ends.
func (v *Verifier) Run(ctx context.Context) error {
	if v.keys.jwks == nil {
		return nil
	}
	err := v.keys.jwks.run(ctx)
	if err != nil {
		return fmt.Errorf("fetching keys for tokens (jwt.jwks_url): %w", err)
	}
	return nil
}

// Verify checks the handshake's token. The error is a Rejection or ErrUnavailable. If the token is
// optional and missing, both results are nil.
func (v *Verifier) Verify(r *http.Request) (*Claims, error) {
	text, err := v.options.Find(r)
	if err == Missing && v.options.Optional {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return v.check(text)
}

func (v *Verifier) check(text string) (*Claims, error) {
	if len(text) > maxLength {
		return nil, TooLong
	}
	all := jwt.MapClaims{}
	token, err := v.parser.ParseWithClaims(text, all, v.keys.keysFor)
	if err != nil {
		return nil, v.rejection(token, err)
	}
	claims, err := newClaims(all, v.options.Leeway)
	switch {
	case err != nil:
		return nil, err
	case v.options.Scope != "" && !hasScope(all, v.options.Scope):
		return nil, Scope
	case v.options.IDRequired && claims.ID == "":
		return nil, ClaimMissing
	}
	claims.Identities, err = identify(v.options.Identify, all)
	return claims, err
}

// rejection translates an error of golang-jwt, which may quote the token, into one of ours.
func (v *Verifier) rejection(token *jwt.Token, err error) error {
	var own Rejection
	switch {
	case errors.Is(err, ErrUnavailable):
		return ErrUnavailable
	case errors.As(err, &own):
		return own
	case errors.Is(err, jwt.ErrTokenMalformed):
		return Malformed
	case token != nil && (token.Method == nil || !slices.Contains(v.algorithms, token.Method.Alg())):
		return Algorithm
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenUnverifiable):
		return Signature
	case errors.Is(err, jwt.ErrTokenExpired):
		return Expired
	case errors.Is(err, jwt.ErrTokenNotValidYet):
		return TooEarly
	case errors.Is(err, jwt.ErrTokenInvalidIssuer):
		return Issuer
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return Audience
	case errors.Is(err, jwt.ErrTokenRequiredClaimMissing):
		return ClaimMissing
	}
	return Malformed
}
