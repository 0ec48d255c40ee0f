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
	others []Secret // that the application may have instead
}

// NewSecret makes a secret of a text, for one that was made up on the spot.
func NewSecret(value, source string) Secret { return Secret{value: value, source: source} }

// Others are those that the application may have instead: which of several places
// counts depends on its version of Rails.
func (s Secret) Others() []Secret { return s.others }

// Sources are where it, and the others, came from.
func (s Secret) Sources() string {
	all := s.source
	for _, other := range s.others {
		all += ", " + other.source
	}
	return all
}

// Texts are those of the others.
func (s Secret) Texts() (all []string) {
	for _, other := range s.others {
		all = append(all, other.value)
	}
	return all
}

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
		l.Backend.Secret = NewSecret(explicit, l.origins["backend.secret"])
		return nil
	}
	l.Backend.Secret = l.secretKeyBase(environ, e)
	return nil
}

// secretKeyBase finds the application's secret_key_base where Rails does, see
// secret_key_base in railties/lib/rails/application.rb and, as of 7.2,
// application/configuration.rb. In development and test some versions heed
// SECRET_KEY_BASE and the credentials, and others make up a secret once and keep
// it in tmp/: so of several secrets the others are to be tried as well. What
// cannot be read is no error yet, for nobody may need it: the complaint is the
// source of a secret that is missing.
func (c *Config) secretKeyBase(environ environ, e evaluator) Secret {
	local := c.Environment == "development" || c.Environment == "test"
	places := []func() []Secret{
		func() []Secret { return []Secret{c.fromVariable(environ)} },
		func() []Secret { return []Secret{c.fromCredentials(environ)} },
		func() []Secret { return []Secret{c.fromSecretsFile(e)} },
	}
	if local {
		places = []func() []Secret{places[2], c.fromTmp, places[0], places[1]}
	}
	var found []Secret
	var why []string
	for _, place := range places {
		for _, secret := range place() {
			switch {
			case secret.Missing():
				why = append(why, secret.source)
			case !slices.ContainsFunc(found, func(other Secret) bool { return other.value == secret.value }):
				found = append(found, secret)
			}
		}
	}
	if len(found) == 0 {
		return Secret{source: strings.Join(why, ", ")}
	}
	found[0].others = found[1:]
	return found[0]
}

func (c *Config) fromVariable(environ environ) Secret {
	if value := environ.variables["SECRET_KEY_BASE"]; value != "" {
		return NewSecret(value, "SECRET_KEY_BASE")
	}
	return Secret{source: "SECRET_KEY_BASE is not set"}
}

// fromTmp are the secrets that Rails makes up for development and test. Rails 7.1
// renamed the file; an old one may lie beside the new.
func (c *Config) fromTmp() (found []Secret) {
	for _, name := range []string{"tmp/local_secret.txt", "tmp/development_secret.txt"} {
		if text, exists, err := c.read(name); err != nil {
			found = append(found, Secret{source: err.Error()})
		} else if exists && text != "" {
			found = append(found, NewSecret(text, name))
		}
	}
	if len(found) == 0 {
		found = []Secret{{source: "Rails has not yet written tmp/local_secret.txt (start it once)"}}
	}
	return found
}

// fromCredentials takes secret_key_base out of the encrypted credentials.
func (c *Config) fromCredentials(environ environ) Secret {
	name, keyName := c.credentialsFile()
	encrypted, exists, err := c.read(name)
	switch {
	case err != nil:
		return Secret{source: err.Error()}
	case !exists:
		return Secret{source: "there is no " + name}
	}
	key, keyPlace := environ.variables["RAILS_MASTER_KEY"], "RAILS_MASTER_KEY"
	if strings.TrimSpace(key) == "" {
		keyPlace = keyName
		switch key, exists, err = c.read(keyName); {
		case err != nil:
			return Secret{source: fmt.Sprintf("%s is locked, for there is no RAILS_MASTER_KEY, and %s: let the user that catenary runs as read it", name, err)}
		case !exists:
			return Secret{source: fmt.Sprintf("%s is locked, for there is neither RAILS_MASTER_KEY nor %s", name, keyName)}
		}
	}
	plain, err := decryptCredentials(encrypted, strings.TrimSpace(key))
	if err != nil {
		return Secret{source: fmt.Sprintf("%s cannot be opened with %s: %s", name, keyPlace, err)}
	}
	var wanted struct {
		SecretKeyBase string `yaml:"secret_key_base"`
	}
	if yaml.Unmarshal(plain, &wanted) != nil { // its complaint would quote the credentials
		return Secret{source: name + " holds no YAML (edit it with bin/rails credentials:edit)"}
	}
	if wanted.SecretKeyBase == "" {
		return Secret{source: name + " has no secret_key_base"}
	}
	return NewSecret(wanted.SecretKeyBase, name+", opened with "+keyPlace)
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
func (c *Config) fromSecretsFile(e evaluator) Secret {
	const name = "config/secrets.yml"
	source, exists, err := c.read(name)
	switch {
	case err != nil:
		return Secret{source: err.Error()}
	case !exists:
		return Secret{source: "there is no " + name}
	}
	s, err := readSection(name, source, c.Environment, e)
	if err != nil {
		return Secret{source: err.Error()}
	}
	for _, entry := range s.entries {
		if entry.key != "secret_key_base" {
			continue
		}
		node, err := s.value(entry)
		if err != nil {
			return Secret{source: err.Error()}
		}
		if !isNull(node) && node.Value != "" {
			return NewSecret(node.Value, s.place(entry))
		}
	}
	return Secret{source: name + " has no secret_key_base"}
}
