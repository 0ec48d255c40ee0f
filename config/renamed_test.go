package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestLoad_NamesTheNewKeyInPlaceOfAFormerOne(t *testing.T) {
	for before, now := range renamed {
		group, key, _ := strings.Cut(before, ".")
		yml := fmt.Sprintf("production:\n  %s:\n    %s: 1\n", group, key)
		_, err := Load(Input{Root: app(t, map[string]string{catenaryFile: yml}), Environ: production()})
		if want := "config/catenary.yml:3: " + before + " is now " + now; err == nil || err.Error() != want {
			t.Errorf("file: %v, want %s", err, want)
		}
		variable := func(key string) string {
			return "CATENARY_" + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
		}
		_, err = Load(Input{Root: t.TempDir(), Environ: production(variable(before) + "=1")})
		if want := "the variable " + variable(before) + " is now " + variable(now); err == nil || err.Error() != want {
			t.Errorf("variable: %v, want %s", err, want)
		}
		flags := parseFlags(t)
		if flags.Lookup(setting{key: before}.flag()) != nil || flags.Lookup(RenamedFlag(setting{key: before}.flag())) == nil {
			t.Errorf("flag of %s: its new name is %q", before, RenamedFlag(setting{key: before}.flag()))
		}
	}
}
