package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/config/yml"
	"go.yaml.in/yaml/v3"
)

// secretKeyBase looks for the application's secret_key_base where Rails does: see secret_key_base
// in railties/lib/rails/application.rb and, as of 7.2, application/configuration.rb. In development
// and test, some versions read SECRET_KEY_BASE and the credentials, and others generate a secret in
// tmp/. So the result may have others. A file that cannot be read is not a mistake yet, because the
// secret may not be needed: the reason is the source of a secret that is missing.
func (l *loading) secretKeyBase() Secret {
	local := l.Environment == "development" || l.Environment == "test"
	var all []Secret
	if local {
		all = append(all, l.fromSecretsFile())
		all = append(all, l.fromTmp()...)
	}
	all = append(all, l.fromVariable(), l.fromCredentials())
	if !local {
		all = append(all, l.fromSecretsFile())
	}
	var found []Secret
	var reasons []string
	for _, secret := range all {
		switch {
		case secret.Missing():
			reasons = append(reasons, secret.source)
		case !slices.ContainsFunc(found, func(other Secret) bool { return other.value == secret.value }):
			found = append(found, secret)
		}
	}
	if len(found) == 0 {
		return missing("%s", strings.Join(reasons, ", "))
	}
	found[0].others = found[1:]
	return found[0]
}

// missing is a secret that was not found, and the reason.
func missing(format string, args ...any) Secret { return Secret{source: fmt.Sprintf(format, args...)} }

func (l *loading) fromVariable() Secret {
	if value := l.environ.variables["SECRET_KEY_BASE"]; value != "" {
		return NewSecret(value, "SECRET_KEY_BASE")
	}
	return missing("SECRET_KEY_BASE is not set")
}

// fromTmp reads the secrets that Rails generates for development and test. Rails 7.1 renamed the
// file; both may exist.
func (l *loading) fromTmp() (found []Secret) {
	for _, name := range []string{"tmp/local_secret.txt", "tmp/development_secret.txt"} {
		if text, exists, err := l.read(name); err != nil {
			found = append(found, missing("%s", err))
		} else if exists && text != "" {
			found = append(found, NewSecret(text, name))
		}
	}
	if len(found) == 0 {
		found = []Secret{missing("Rails has not written tmp/local_secret.txt yet (start it once)")}
	}
	return found
}

// fromCredentials reads secret_key_base from the encrypted credentials.
func (l *loading) fromCredentials() Secret {
	name, keyName := l.credentialsFile()
	encrypted, exists, err := l.read(name)
	switch {
	case err != nil:
		return missing("%s", err)
	case !exists:
		return missing("there is no %s", name)
	}
	key, keyPlace := l.environ.variables["RAILS_MASTER_KEY"], "RAILS_MASTER_KEY"
	if strings.TrimSpace(key) == "" {
		keyPlace = keyName
		switch key, exists, err = l.read(keyName); {
		case err != nil:
			return missing("cannot decrypt %s: RAILS_MASTER_KEY is not set, and %s: let the user that runs catenary read it", name, err)
		case !exists:
			return missing("cannot decrypt %s: RAILS_MASTER_KEY is not set, and there is no %s", name, keyName)
		}
	}
	plain, err := decryptCredentials(encrypted, strings.TrimSpace(key))
	if err != nil {
		return missing("cannot decrypt %s with %s: %s", name, keyPlace, err)
	}
	var wanted struct {
		SecretKeyBase string `yaml:"secret_key_base"`
	}
	if yaml.Unmarshal(plain, &wanted) != nil { // the parser's error would quote the credentials
		return missing("%s has invalid YAML in it (edit it with bin/rails credentials:edit)", name)
	}
	if wanted.SecretKeyBase == "" {
		return missing("%s has no secret_key_base", name)
	}
	return NewSecret(wanted.SecretKeyBase, name+", decrypted with "+keyPlace)
}

// credentialsFile is the pair of file and key of the environment if it has one, else the common
// pair.
func (l *loading) credentialsFile() (file, key string) {
	if own := "config/credentials/" + l.Environment; !strings.ContainsAny(l.Environment, `/\`) {
		if _, exists, _ := l.read(own + ".yml.enc"); exists {
			return own + ".yml.enc", own + ".key"
		}
	}
	return "config/credentials.yml.enc", "config/master.key"
}

// fromSecretsFile reads config/secrets.yml, which Rails has up to 7.1.
func (l *loading) fromSecretsFile() Secret {
	const name = "config/secrets.yml"
	source, exists, err := l.read(name)
	switch {
	case err != nil:
		return missing("%s", err)
	case !exists:
		return missing("there is no %s", name)
	}
	s, err := yml.Read(name, source, l.Environment, l.evaluator())
	if err != nil {
		return missing("%s", err)
	}
	for _, entry := range s.Entries {
		if entry.Key != "secret_key_base" {
			continue
		}
		node, err := s.Value(entry)
		if err != nil {
			return missing("%s", err)
		}
		if !yml.IsNull(node) && node.Value != "" {
			return NewSecret(node.Value, s.Place(entry))
		}
	}
	return missing("%s has no secret_key_base", name)
}
