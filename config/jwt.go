package config

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// JWT is which tokens catenary accepts, if there is a key to verify them with: see [JWT.Given].
type JWT struct {
	Secret         Secret   `mapstructure:"-"`
	RotationSecret Secret   `mapstructure:"-"`
	PublicKeys     []string `mapstructure:"public_keys"`
	JWKSURL        string   `mapstructure:"jwks_url"`
	Algorithms     []string
	Required       bool

	// Query, Authorization, Subprotocol and Cookie are where a handshake may have its token.
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

	// Identify are the connection's identifiers, made of claims in place of the app's connect:
	// "current_user=gid://app/User/{sub}".
	Identify []string
}

// Given reports whether catenary verifies tokens.
func (j JWT) Given() bool {
	return !j.Secret.Missing() || len(j.PublicKeys) > 0 || j.JWKSURL != ""
}

// jwtKeys are the settings of which one is needed in order to verify tokens.
var jwtKeys = []string{"jwt.secret", "jwt.public_keys", "jwt.jwks_url"}

// finishJWT fills in the secrets and the paths of key files.
func (l *loading) finishJWT() error {
	l.JWT.Secret, l.JWT.RotationSecret = l.secret("jwt.secret"), l.secret("jwt.rotation_secret")
	if l.JWT.Query == "off" {
		l.JWT.Query = ""
	}
	for i, file := range l.JWT.PublicKeys {
		l.JWT.PublicKeys[i] = l.below(file)
	}
	if !l.JWT.Secret.Missing() && len(l.JWT.Secret.Reveal()) < 32 {
		l.warn("jwt.secret is shorter than 32 bytes: anyone who has a token can guess it")
	}
	if len(l.JWT.Identify) > 0 && l.PassesAll() {
		l.note(l.mistake("jwt.identify", errors.New(
			"has no effect with pass_through: all, where the app's own connect runs: remove one of them")))
	}
	return l.checkKeys()
}

// checkKeys rejects settings that look as if tokens were verified although there is no key.
func (l *loading) checkKeys() error {
	if l.JWT.Given() {
		return nil
	}
	for _, key := range jwtKeys {
		if place, empty := l.empty[key]; empty {
			return mistake(place, key, errors.New(
				"is empty, so no token would be verified: set the variable it takes its value from, or remove the key"))
		}
	}
	if value, set := l.environ.variables["CATENARY_JWT_SECRET"]; set && value == "" {
		l.warn("the variable CATENARY_JWT_SECRET is empty: no token is verified")
	}
	for _, key := range slices.Sorted(maps.Keys(l.origins)) {
		if strings.HasPrefix(key, "jwt.") {
			return l.mistake(key, errors.New("there is no key to verify tokens with: set jwt.secret, jwt.public_keys or jwt.jwks_url"))
		}
	}
	return nil
}

var (
	identifier = regexp.MustCompile(`^[a-z_]\w*$`)
	// A claim may be any part of a plain text, but only the id of a Global ID: a token must not
	// choose the class.
	identityText = regexp.MustCompile(`^([^{}]|\{[^{}]+\})+$`)
	identityID   = regexp.MustCompile(`^gid://[\w-]+/[\w:]+/(\{[^{}]+\}|[\w.~%+-])+$`)
)

// parseIdentities reads a list of "identifier=template", with claims in braces.
func parseIdentities(n *yaml.Node) ([]string, error) {
	items, err := parseList(n)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, item := range items {
		name, template, _ := strings.Cut(item, "=")
		form := identityText
		if strings.HasPrefix(template, "gid:") {
			form = identityID
		}
		switch {
		case !identifier.MatchString(name) || !form.MatchString(template):
			return nil, fmt.Errorf("%q is not an identifier with its template: write for example current_user: gid://app/User/{sub}", item)
		case seen[name]:
			return nil, fmt.Errorf("names %s twice: keep one", name)
		}
		seen[name] = true
	}
	return items, nil
}
