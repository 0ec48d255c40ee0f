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

// keys verify signatures. Each family of algorithms has its own keys, so a public key can never
// serve as the secret of an HMAC.
type keys struct {
	secrets []jwt.VerificationKey            // HS*; the second one during a rotation
	public  map[string][]jwt.VerificationKey // by algorithm
	jwks    *jwks                            // nil: none
}

// knownAlgorithms can be configured.
var knownAlgorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512", "EdDSA",
}

// readKeys reads the keys and returns them with the allowed algorithms.
func readKeys(o Options) (k keys, algorithms []string, err error) {
	k.public = map[string][]jwt.VerificationKey{}
	var defaults []string // the usual algorithm of each key
	for _, secret := range []string{o.Secret, o.RotationSecret} {
		if secret != "" {
			k.secrets = append(k.secrets, []byte(secret))
			defaults = append(defaults, "HS256")
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
		defaults = append(defaults, fits[0])
	}
	if o.JWKSURL != "" {
		k.jwks = newJWKS(o.JWKSURL, o.Log)
		defaults = append(defaults, "RS256")
	}
	if len(defaults) == 0 {
		return k, nil, errors.New("no key to verify tokens with: set jwt.secret, jwt.public_keys or jwt.jwks_url")
	}
	algorithms = o.Algorithms
	if len(algorithms) == 0 {
		slices.Sort(defaults)
		algorithms = slices.Compact(defaults)
	}
	for _, algorithm := range algorithms {
		if err := k.checkAlgorithm(algorithm); err != nil {
			return k, nil, err
		}
	}
	if len(k.secrets) > 0 && !slices.ContainsFunc(algorithms, symmetric) {
		return k, nil, errors.New("jwt.secret is unused: jwt.algorithms contains none of HS256, HS384 and HS512")
	}
	return k, algorithms, nil
}

// checkAlgorithm returns an error if no key fits an algorithm.
func (k keys) checkAlgorithm(algorithm string) error {
	switch {
	case !slices.Contains(knownAlgorithms, algorithm):
		return fmt.Errorf("jwt.algorithms: %q is unknown: use some of %s", algorithm, strings.Join(knownAlgorithms, ", "))
	case symmetric(algorithm) && len(k.secrets) == 0:
		return fmt.Errorf("jwt.algorithms: %s needs jwt.secret", algorithm)
	case !symmetric(algorithm) && len(k.public[algorithm]) == 0 && k.jwks == nil:
		return fmt.Errorf("jwt.algorithms: %s needs a matching key in jwt.public_keys, or jwt.jwks_url", algorithm)
	}
	return nil
}

func symmetric(algorithm string) bool { return strings.HasPrefix(algorithm, "HS") }

// readPublicKey reads a public key or a certificate from a PEM file, and returns the algorithms
// that it fits, the usual one first.
func readPublicKey(file string) (key jwt.VerificationKey, fits []string, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: %w", err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: %s is not a PEM file", file)
	}
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		certificate, err = x509.ParseCertificate(block.Bytes)
		if err == nil {
			key = certificate.PublicKey
		}
	default:
		return nil, nil, fmt.Errorf("jwt.public_keys: %s contains a %s: use a PUBLIC KEY or CERTIFICATE, never a private key",
			file, block.Type)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: parsing %s: %w", file, err)
	}
	fits = algorithmsOf(key)
	if fits == nil {
		return nil, nil, fmt.Errorf("jwt.public_keys: the key in %s is not supported: use RSA of 2048 bits or more, "+
			"ECDSA on P-256, P-384 or P-521, or Ed25519", file)
	}
	return key, fits, nil
}

// algorithmsOf returns the algorithms that a public key fits, the usual one first.
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

// keysFor is the jwt.Keyfunc: it returns all keys that may have signed a token. golang-jwt has
// checked that the algorithm is allowed.
func (k keys) keysFor(t *jwt.Token) (any, error) {
	if _, critical := t.Header["crit"]; critical { // RFC 7515, section 4.1.11: we support none
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
