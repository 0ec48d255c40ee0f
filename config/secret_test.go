package config

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config/internal/rubytest"
)

const masterKey = "0123456789abcdef0123456789abcdef"

// credentials has Rails encrypt a file in the application's directory.
func credentials(t *testing.T, root, file, content string) {
	t.Helper()
	rubytest.Run(t, `require "active_support/all"; require "active_support/encrypted_configuration"
Dir.chdir(ENV.fetch("ROOT"))
ActiveSupport::EncryptedConfiguration.new(config_path: ENV.fetch("FILE"), key_path: "none", env_key: "KEY", raise_if_missing_key: true).write($stdin.read)`,
		content, append(os.Environ(), "ROOT="+root, "FILE="+file, "KEY="+masterKey))
}

func TestSecret_ComesFromWhereRailsHasIt(t *testing.T) {
	production := []string{"RAILS_ENV=production"}
	both := map[string]string{"tmp/local_secret.txt": "new", "tmp/development_secret.txt": "old"}
	for name, c := range map[string]struct {
		files         map[string]string
		environ       []string
		value, source string
	}{
		"CATENARY_SECRET":                   {nil, append(production, "SECRET_KEY_BASE=b", "CATENARY_SECRET= a "), " a ", "CATENARY_SECRET"},
		"catenary.yml":                      {map[string]string{catenaryFile: "shared: {backend: {secret: ours}}"}, append(production, "SECRET_KEY_BASE=b"), "ours", "config/catenary.yml:1"},
		"SECRET_KEY_BASE":                   {nil, append(production, "SECRET_KEY_BASE=b"), "b", "SECRET_KEY_BASE"},
		"Rails 7.2 in development":          {both, nil, "new", "tmp/local_secret.txt"},
		"Rails 6.1 in test":                 {map[string]string{"tmp/development_secret.txt": "old"}, []string{"RAILS_ENV=test"}, "old", "tmp/development_secret.txt"},
		"development heeds no variable":     {both, []string{"SECRET_KEY_BASE=b"}, "new", "tmp/local_secret.txt"},
		"the variable is better than none":  {nil, []string{"SECRET_KEY_BASE=b"}, "b", "SECRET_KEY_BASE"},
		"secrets.yml":                       {map[string]string{"config/secrets.yml": "production:\n  secret_key_base: <%= ENV['X'] %>\n"}, append(production, "X=x"), "x", "config/secrets.yml:2"},
		"secrets.yml is before the tmp dir": {map[string]string{"config/secrets.yml": "development: {secret_key_base: s}", "tmp/local_secret.txt": "l"}, nil, "s", "config/secrets.yml:1"},
	} {
		got := mustLoad(t, Input{Root: app(t, c.files), Environ: c.environ}).Backend.Secret
		if got.Reveal() != c.value || got.Source() != c.source {
			t.Errorf("%s: %q from %q", name, got.Reveal(), got.Source())
		}
	}
}

func TestSecret_IsReadFromCredentialsThatRailsEncrypted(t *testing.T) {
	long := "# " + strings.Repeat("long enough for two bytes of length ", 100) + "\nsecret_key_base: fromcredentials\naws: {key: AKIA}\n"
	root := app(t, map[string]string{"config/credentials/keep": ""})
	credentials(t, root, "config/credentials.yml.enc", long)
	load := func(environ ...string) *Config {
		return mustLoad(t, Input{Root: root, Environ: append(environ, "RAILS_ENV=production")})
	}

	if err := load().RequireSecret(); err == nil || !strings.Contains(err.Error(), "cannot decrypt config/credentials.yml.enc: RAILS_MASTER_KEY is not set, and there is no config/master.key") {
		t.Errorf("without a key: %v", err)
	}
	if s := load("RAILS_MASTER_KEY=" + masterKey).Backend.Secret; s.Reveal() != "fromcredentials" || s.Source() != "config/credentials.yml.enc, decrypted with RAILS_MASTER_KEY" {
		t.Errorf("got %q from %s", s.Reveal(), s.Source())
	}
	for _, wrong := range []string{strings.Repeat("0", 32), "short", strings.Repeat("z", 32)} {
		if err := load("RAILS_MASTER_KEY=" + wrong).RequireSecret(); err == nil || strings.Contains(err.Error(), wrong) {
			t.Errorf("with a wrong key: %v", err)
		}
	}

	if err := os.WriteFile(root+"/config/master.key", []byte(masterKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := load().Backend.Secret; s.Reveal() != "fromcredentials" || !strings.HasSuffix(s.Source(), "config/master.key") {
		t.Errorf("got %q from %s", s.Reveal(), s.Source())
	}

	credentials(t, root, "config/credentials/production.yml.enc", "secret_key_base: short\n")
	if err := os.WriteFile(root+"/config/credentials/production.key", []byte(masterKey), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := load().Backend.Secret; s.Reveal() != "short" || s.Source() != "config/credentials/production.yml.enc, decrypted with config/credentials/production.key" {
		t.Errorf("got %q from %s", s.Reveal(), s.Source())
	}
}

// Which of them Rails uses in development depends on its version: catenary tries all of them.
func TestSecret_InDevelopmentIsOneOfSeveral(t *testing.T) {
	root := app(t, map[string]string{"tmp/local_secret.txt": "local", "tmp/development_secret.txt": "old", "config/master.key": masterKey})
	credentials(t, root, "config/credentials.yml.enc", "secret_key_base: fromcredentials\n")
	s := mustLoad(t, Input{Root: root, Environ: []string{"SECRET_KEY_BASE=local"}}).Backend.Secret
	if s.Reveal() != "local" || !slices.Equal(s.Texts(), []string{"old", "fromcredentials"}) {
		t.Errorf("got %s and %s", s.Reveal(), s.Texts())
	}
	if want := "tmp/local_secret.txt, tmp/development_secret.txt, config/credentials.yml.enc, decrypted with config/master.key"; s.Sources() != want {
		t.Errorf("from %s", s.Sources())
	}
}

func TestSecret_NamesAMasterKeyThatCannotBeRead(t *testing.T) {
	root := app(t, map[string]string{"config/credentials.yml.enc": "x", "config/master.key/a folder": "is not readable, not even for root"})
	err := mustLoad(t, Input{Root: root, Environ: []string{"RAILS_ENV=production"}}).RequireSecret()
	if err == nil || !strings.Contains(err.Error(), "cannot decrypt config/credentials.yml.enc: RAILS_MASTER_KEY is not set, and config/master.key: cannot be read: is a directory: let the user") {
		t.Errorf("got %v", err)
	}
}

func TestSecret_MissingIsAnErrorOnlyWhenNeeded(t *testing.T) {
	root := t.TempDir()
	c := mustLoad(t, Input{Root: root, Environ: []string{"RAILS_ENV=production"}})
	want := "no secret to sign calls to Rails with, and no config/ in " + root + ": start catenary in the app's directory or set root; on another machine, set CATENARY_SECRET for catenary and for Rails, or SECRET_KEY_BASE as for Rails"
	if err := c.RequireSecret(); err == nil || err.Error() != want {
		t.Errorf("without an application: %v", err)
	}
	if err := os.Mkdir(root+"/config", 0o755); err != nil {
		t.Fatal(err)
	}
	want = "no secret to sign calls to Rails with: SECRET_KEY_BASE is not set, there is no config/credentials.yml.enc, there is no config/secrets.yml; set CATENARY_SECRET for catenary and for Rails, or SECRET_KEY_BASE or RAILS_MASTER_KEY as for Rails"
	if err := c.RequireSecret(); err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func FuzzCredentials(f *testing.F) {
	f.Add("a--b--c", masterKey)
	f.Add("AAAA--AAAAAAAAAAAAAAAA--AAAAAAAAAAAAAAAAAAAAAA==", masterKey)
	f.Fuzz(func(t *testing.T, file, key string) {
		decryptCredentials(file, key)  //nolint:errcheck // it must return, with whatever error
		marshalledString([]byte(file)) //nolint:errcheck
	})
}
