package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Secret is a text that no message shows, and the place it came from, which
// messages may show.
type Secret struct {
	value  string
	source string
}

// NewSecret makes a secret of a text, for one that was made up on the spot.
func NewSecret(value, source string) Secret { return Secret{value, source} }

// Reveal is the text itself.
func (s Secret) Reveal() string { return s.value }

// Source is where it came from: a variable, or a file below the root.
func (s Secret) Source() string { return s.source }

// Missing tells that no secret was found.
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

// RequireSecret is nil if there is a secret to sign calls with; else it says
// where one was looked for.
func (c *Config) RequireSecret() error {
	if !c.Backend.Secret.Missing() {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.Root, "config")); errors.Is(err, fs.ErrNotExist) {
		root, _ := filepath.Abs(c.Root)
		return fmt.Errorf("no secret to sign the calls to Rails with, and no config/ in %s: start catenary in the app's directory or name it with root; elsewhere set CATENARY_SECRET for catenary and for Rails, or SECRET_KEY_BASE as Rails has it", root)
	}
	return fmt.Errorf("no secret to sign the calls to Rails with: %s; set CATENARY_SECRET for catenary and for Rails, or SECRET_KEY_BASE or RAILS_MASTER_KEY as Rails has it", c.Backend.Secret.source)
}

// finishBackend settles what has defaults of its own: concurrency and secret.
func (l *loading) finishBackend(environ environ, e evaluator) error {
	threads, err := environ.threads()
	if err != nil {
		return err
	}
	switch _, given := l.origins["backend.concurrency"]; {
	case given && l.Backend.Concurrency > 0: // the gem's answer included, which counts all of Puma's threads
	case threads > 0:
		l.Backend.Concurrency, l.origins["backend.concurrency"] = max(threads-1, 1), threadsOfEnvironment
	case l.Backend.Concurrency == 0:
		l.Backend.Concurrency = 2 // of Puma's three threads
	}
	if l.Backend.Restart == "reconnect" && l.Backend.Transport == "post" {
		l.note(mistake(l.origins["backend.restart"], "backend.restart",
			errors.New("reconnect needs links, since POST does not tell the backend's processes apart: let backend.transport be auto or link, or backend.restart be keep")))
	}
	if explicit := l.viper.GetString("backend.secret"); explicit != "" {
		l.Backend.Secret = Secret{explicit, l.origins["backend.secret"]}
		return nil
	}
	l.Backend.Secret = l.secretKeyBase(environ, e)
	return nil
}

// secretKeyBase finds the application's secret_key_base where Rails does, see
// Rails::Application#secret_key_base. In development and test Rails does not
// heed SECRET_KEY_BASE: it makes up a secret once and keeps it in tmp/. A file
// that cannot be read is no error yet, for nobody may need the secret: its
// complaint is the source of a secret that is missing.
func (c *Config) secretKeyBase(environ environ, e evaluator) Secret {
	fromEnv := Secret{environ.variables["SECRET_KEY_BASE"], "SECRET_KEY_BASE"}
	fromSecretsFile := func() (Secret, bool) { return c.fromSecretsFile(e) }
	places := []func() (Secret, bool){
		func() (Secret, bool) { return fromEnv, !fromEnv.Missing() },
		func() (Secret, bool) { return c.fromCredentials(environ) },
		fromSecretsFile,
	}
	if c.Environment == "development" || c.Environment == "test" {
		places = []func() (Secret, bool){fromSecretsFile, c.fromTmp, places[0]}
	}
	var why []string
	for _, place := range places {
		secret, final := place()
		if final {
			return secret
		}
		why = append(why, secret.source)
	}
	why[slices.Index(why, "SECRET_KEY_BASE")] += " is not set"
	return Secret{source: strings.Join(why, ", ")}
}

// fromTmp is the secret that Rails makes up for development and test. Rails 7.2
// renamed the file; an old one may lie beside the new.
func (c *Config) fromTmp() (Secret, bool) {
	for _, name := range []string{"tmp/local_secret.txt", "tmp/development_secret.txt"} {
		if text, exists, err := c.read(name); err != nil {
			return Secret{source: err.Error()}, true
		} else if exists && text != "" {
			return Secret{text, name}, true
		}
	}
	return Secret{source: "Rails has not yet written tmp/local_secret.txt (start it once)"}, false
}

// fromCredentials takes secret_key_base out of the encrypted credentials.
func (c *Config) fromCredentials(environ environ) (Secret, bool) {
	name, keyName := c.credentialsFile()
	encrypted, exists, err := c.read(name)
	switch {
	case err != nil:
		return Secret{source: err.Error()}, true
	case !exists:
		return Secret{source: "there is no " + name}, false
	}
	key, keyPlace := environ.variables["RAILS_MASTER_KEY"], "RAILS_MASTER_KEY"
	if strings.TrimSpace(key) == "" {
		keyPlace = keyName
		if key, exists, err = c.read(keyName); err != nil || !exists {
			return Secret{source: fmt.Sprintf("%s is locked, for there is neither RAILS_MASTER_KEY nor %s", name, keyName)}, false
		}
	}
	plain, err := decryptCredentials(encrypted, strings.TrimSpace(key))
	if err != nil {
		return Secret{source: fmt.Sprintf("%s cannot be opened with %s: %s", name, keyPlace, err)}, true
	}
	var wanted struct {
		SecretKeyBase string `yaml:"secret_key_base"`
	}
	if yaml.Unmarshal(plain, &wanted) != nil { // its complaint would quote the credentials
		return Secret{source: name + " holds no YAML (edit it with bin/rails credentials:edit)"}, true
	}
	if wanted.SecretKeyBase == "" {
		return Secret{source: name + " has no secret_key_base"}, false
	}
	return Secret{wanted.SecretKeyBase, name + ", opened with " + keyPlace}, true
}

// credentialsFile is the environment's own pair of file and key, else the common one.
func (c *Config) credentialsFile() (file, key string) {
	if own := "config/credentials/" + c.Environment; !strings.ContainsAny(c.Environment, `/\`) {
		if _, exists, _ := c.read(own + ".yml.enc"); exists {
			return own + ".yml.enc", own + ".key"
		}
	}
	return "config/credentials.yml.enc", "config/master.key"
}

// fromSecretsFile reads config/secrets.yml, which Rails had before 7.2.
func (c *Config) fromSecretsFile(e evaluator) (Secret, bool) {
	const name = "config/secrets.yml"
	source, exists, err := c.read(name)
	if err != nil || !exists {
		return Secret{source: "there is no " + name}, err != nil
	}
	s, err := readSection(name, source, c.Environment, e)
	if err != nil {
		return Secret{source: err.Error()}, true
	}
	for _, entry := range s.entries {
		if entry.key != "secret_key_base" {
			continue
		}
		node, err := s.value(entry)
		if err != nil {
			return Secret{source: err.Error()}, true
		}
		if !isNull(node) && node.Value != "" {
			return Secret{node.Value, s.place(entry)}, true
		}
	}
	return Secret{source: name + " has no secret_key_base"}, false
}
