package token

import "errors"

// Rejection is why a token is invalid, in one word for logs and metrics. It never quotes the token.
type Rejection string

func (r Rejection) Error() string { return "token rejected: " + string(r) }

const (
	Missing      Rejection = "token_missing"
	Repeated     Rejection = "token_repeated" // more than one: Rails might use another one
	TooLong      Rejection = "token_too_long"
	Malformed    Rejection = "token_malformed"
	Algorithm    Rejection = "token_algorithm"   // not allowed by the configuration
	UnknownKey   Rejection = "token_unknown_key" // the JWKS has no key named "kid"
	Signature    Rejection = "token_signature"
	Expired      Rejection = "token_expired"
	TooEarly     Rejection = "token_too_early" // "nbf"
	Issuer       Rejection = "token_issuer"
	Audience     Rejection = "token_audience"
	Scope        Rejection = "token_scope"
	ClaimMissing Rejection = "token_claim_missing" // exp, iss, aud or jti, if required; or a claim of an identity
)

// ErrUnavailable means that the keys are missing, so the token could not be verified. The browser
// should retry.
var ErrUnavailable = errors.New("keys for tokens are unavailable: check that jwt.jwks_url answers")
