package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Secret is a text that no message shows, and the place where it was read, which messages may show.
type Secret struct {
	value  string
	source string
	others []Secret
}

// NewSecret makes a secret of a text.
func NewSecret(value, source string) Secret { return Secret{value: value, source: source} }

// Others are secrets that the application may use instead: which of several places counts depends
// on its version of Rails.
func (s Secret) Others() []Secret { return s.others }

// Sources are the places of the secret and of the others.
func (s Secret) Sources() string {
	all := s.source
	for _, other := range s.others {
		all += ", " + other.source
	}
	return all
}

// Texts are the texts of the others.
func (s Secret) Texts() (all []string) {
	for _, other := range s.others {
		all = append(all, other.value)
	}
	return all
}

// Reveal is the text itself.
func (s Secret) Reveal() string { return s.value }

// Source is where the secret was read: a variable, or a file below the root.
func (s Secret) Source() string { return s.source }

// Missing reports whether there is no secret. Source then says why.
func (s Secret) Missing() bool { return s.value == "" }

func (s Secret) String() string {
	if s.Missing() {
		return "(no secret)"
	}
	return "(secret from " + s.source + ")"
}

// GoString keeps %#v from printing the secret.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps JSON and slog from printing the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// RequireSecret returns an error if there is no secret to sign calls with. The error says where
// catenary has looked.
func (c *Config) RequireSecret() error {
	if !c.Backend.Secret.Missing() {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.Root, "config")); errors.Is(err, fs.ErrNotExist) {
		root, _ := filepath.Abs(c.Root)
		return fmt.Errorf("no secret to sign calls to Rails with, and no config/ in %s: start catenary in the app's directory or set root; "+
			"on another machine, set CATENARY_SECRET for catenary and for Rails, or SECRET_KEY_BASE as for Rails", root)
	}
	return fmt.Errorf("no secret to sign calls to Rails with: %s; "+
		"set CATENARY_SECRET for catenary and for Rails, or SECRET_KEY_BASE or RAILS_MASTER_KEY as for Rails", c.Backend.Secret.source)
}
