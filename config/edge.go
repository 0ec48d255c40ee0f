package config

import (
	"errors"
	"path/filepath"
	"time"
)

// TLS is what browsers are served with; empty: plain HTTP.
type TLS struct {
	Certificate string
	Key         string
}

// JWT is which tokens are good, if there is a key to check them with: see
// [JWT.Given].
type JWT struct {
	Secret         Secret   `mapstructure:"-"`
	RotationSecret Secret   `mapstructure:"-"`
	PublicKeys     []string `mapstructure:"public_keys"`
	JWKSURL        string   `mapstructure:"jwks_url"`
	Algorithms     []string
	Required       bool

	// Query, Authorization, Subprotocol and Cookie are where tokens are looked
	// for.
	Query         string
	Authorization bool
	Subprotocol   string
	Cookie        string

	Issuer         string
	Audience       []string
	Scope          string
	ExpiryRequired bool `mapstructure:"expiry_required"`
	IDRequired     bool `mapstructure:"id_required"`
	Leeway         time.Duration

	// Identify are what connections are identified by, in place of the app's
	// connect: "current_user=gid://app/User/{sub}".
	Identify []string
}

// Given tells whether tokens are checked.
func (j JWT) Given() bool {
	return !j.Secret.Missing() || len(j.PublicKeys) > 0 || j.JWKSURL != ""
}

// jwtKeys are the settings of which one is needed in order to check tokens.
var jwtKeys = []string{"jwt.secret", "jwt.public_keys", "jwt.jwks_url"}

// checkKeys refuses what looks as if tokens were checked, and none would be.
func (l *loading) checkKeys(e environ) error {
	if l.JWT.Given() {
		return nil
	}
	for _, key := range jwtKeys {
		if place, empty := l.empty[key]; empty {
			return mistake(place, key, errors.New("has no value, so that no token would be checked: is a variable not set? To check none, leave the key out"))
		}
	}
	if value, set := e.variables["CATENARY_JWT_SECRET"]; set && value == "" {
		l.warn("the variable CATENARY_JWT_SECRET is empty: no token is checked")
	}
	if l.Given("jwt") {
		return errors.New("jwt: there is no key to check tokens with: set jwt.secret, jwt.public_keys or jwt.jwks_url")
	}
	return nil
}

// finishEdge settles secrets and the places of files.
func (l *loading) finishEdge(e environ) error {
	l.JWT.Secret = NewSecret(l.viper.GetString("jwt.secret"), l.origins["jwt.secret"])
	l.JWT.RotationSecret = NewSecret(l.viper.GetString("jwt.rotation_secret"), l.origins["jwt.rotation_secret"])
	if l.JWT.Query == "off" {
		l.JWT.Query = ""
	}
	for _, file := range []*string{&l.TLS.Certificate, &l.TLS.Key} {
		*file = l.below(*file)
	}
	for i, file := range l.JWT.PublicKeys {
		l.JWT.PublicKeys[i] = l.below(file)
	}
	if !l.JWT.Secret.Missing() && len(l.JWT.Secret.Reveal()) < 32 {
		l.warn("jwt.secret is shorter than 32 bytes: whoever has a token can guess it")
	}
	l.note(l.checkKeys(e))
	switch {
	case (l.TLS.Certificate == "") != (l.TLS.Key == ""):
		key := "tls.certificate"
		if l.TLS.Certificate == "" {
			key = "tls.key"
		}
		return mistake(l.origins[key], key, errors.New("tls.certificate and tls.key are needed both: set the other one too"))
	case len(l.JWT.Identify) > 0 && l.PassesAll():
		return mistake(l.origins["jwt.identify"], "jwt.identify", errors.New("with pass_through: all the app's own connect runs: leave one of them out"))
	}
	return nil
}

// below is the path of a file that the configuration names from the root.
func (c *Config) below(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(c.Root, filepath.FromSlash(file))
}
