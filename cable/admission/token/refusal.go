package token

import "errors"

// Refusal is why a token is not good, in one word, for logs and metrics. It
// never quotes the token.
type Refusal string

func (r Refusal) Error() string { return "the token is refused: " + string(r) }

const (
	Missing      Refusal = "token_missing"
	Repeated     Refusal = "token_repeated" // two in one place: Rails might read the other
	TooLong      Refusal = "token_too_long"
	Malformed    Refusal = "token_malformed"
	Algorithm    Refusal = "token_algorithm"   // not one of those configured
	UnknownKey   Refusal = "token_unknown_key" // "kid" names no key of the JWKS
	Signature    Refusal = "token_signature"
	Expired      Refusal = "token_expired"
	TooEarly     Refusal = "token_too_early" // "nbf"
	Issuer       Refusal = "token_issuer"
	Audience     Refusal = "token_audience"
	Scope        Refusal = "token_scope"
	ClaimMissing Refusal = "token_claim_missing" // exp, iss, aud or jti, of those that are asked for; or one of an identity
)

// ErrUnavailable says that the keys could not be had, so that nothing can be
// said of the token: the browser should try again.
var ErrUnavailable = errors.New("the keys of tokens cannot be had now: see whether jwt.jwks_url answers")
