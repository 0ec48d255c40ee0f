package token

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// keys are what signatures are checked with. A family of algorithms sees only
// keys of its own: a public key can never become the secret of an HMAC.
type keys struct {
	secrets []jwt.VerificationKey            // HS*; the second while secrets are changed
	public  map[string][]jwt.VerificationKey // by algorithm
	jwks    *jwks                            // nil: none
}

// known are the algorithms that may be configured.
var known = []string{"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

// readKeys reads the keys and settles which algorithms are allowed.
func readKeys(o Options) (k keys, algorithms []string, err error) {
	k.public = map[string][]jwt.VerificationKey{}
	var natural []string // what each key is for, if nothing else is said
	for _, secret := range []string{o.Secret, o.RotationSecret} {
		if secret != "" {
			k.secrets = append(k.secrets, []byte(secret))
			natural = append(natural, "HS256")
		}
	}
	for _, file := range o.PublicKeyFiles {
		key, fits, err := readPublicKey(file)
		if err != nil {
			return k, nil, err
		}
		for _, algorithm := range fits {
			k.public[algorithm] = append(k.public[algorithm], key)
		}
		natural = append(natural, fits[0])
	}
	if o.JWKSURL != "" {
		k.jwks = newJWKS(o.JWKSURL, o.Log)
		natural = append(natural, "RS256")
	}
	if len(natural) == 0 {
		return k, nil, errors.New("there is no key to check tokens with: set jwt.secret, jwt.public_keys or jwt.jwks_url")
	}
	if algorithms = o.Algorithms; len(algorithms) == 0 {
		slices.Sort(natural)
		algorithms = slices.Compact(natural)
	}
	for _, algorithm := range algorithms {
		if err := k.serves(algorithm); err != nil {
			return k, nil, err
		}
	}
	if len(k.secrets) > 0 && !slices.ContainsFunc(algorithms, symmetric) {
		return k, nil, errors.New("jwt.secret is of no use: jwt.algorithms has none of HS256, HS384 and HS512")
	}
	return k, algorithms, nil
}

func (k keys) serves(algorithm string) error {
	switch {
	case !slices.Contains(known, algorithm):
		return fmt.Errorf("jwt.algorithms: %q is not known: write some of %s", algorithm, strings.Join(known, ", "))
	case symmetric(algorithm) && len(k.secrets) == 0:
		return fmt.Errorf("jwt.algorithms: %s needs jwt.secret", algorithm)
	case !symmetric(algorithm) && len(k.public[algorithm]) == 0 && k.jwks == nil:
		return fmt.Errorf("jwt.algorithms: %s needs a key of its kind in jwt.public_keys, or jwt.jwks_url", algorithm)
	}
	return nil
}

func symmetric(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }

// readPublicKey reads a PEM file that holds a public key or a certificate, and
// says for which algorithms it can be used, the usual first.
func readPublicKey(file string) (key jwt.VerificationKey, fits []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: %s is no PEM file", file)
	}
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = certificate.PublicKey
		}
	default:
		return nil, nil, fmt.Errorf("jwt.public_keys: %s holds a %s: a PUBLIC KEY or CERTIFICATE is needed, and nothing that signs", file, block.Type)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: %s cannot be read: %w", file, err)
	}
	if fits = algorithmsOf(key); fits == nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: %s is neither an RSA key of 2048 bits or more, nor one on P-256, P-384 or P-521, nor an Ed25519 key", file)
	}
	return key, fits, nil
}

// algorithmsOf lists what a public key can be used for, the usual first.
func algorithmsOf(key any) []string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= 2048 {
			return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
		}
	case *ecdsa.PublicKey:
		switch key.Curve.Params().BitSize {
		case 256:
			return []string{"ES256"}
		case 384:
			return []string{"ES384"}
		case 521:
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// keysFor is golang-jwt's Keyfunc: all keys that a token of this algorithm,
// one of those allowed, may have been signed with.
func (k keys) keysFor(t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical { // RFC 7515, 4.1.11: we understand none
		return nil, Malformed
	}
	algorithm := t.Method.Alg()
	if symmetric(algorithm) {
		return jwt.VerificationKeySet{Keys: k.secrets}, nil
	}
	found := slices.Clone(k.public[algorithm])
	if k.jwks != nil {
		more, err := k.jwks.keysFor(t)
		if err != nil && len(found) == 0 {
			return nil, err
		}
		found = append(found, more...)
	}
	if len(found) == 0 {
		return nil, UnknownKey
	}
	return jwt.VerificationKeySet{Keys: found}, nil
}
