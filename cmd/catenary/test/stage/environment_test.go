package stage

import (
	"os"
	"strings"
	"testing"
)

func TestEnvironment_CatenaryUnderTestIgnoresTheSurroundingConfiguration(t *testing.T) {
	path, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	printConfig := func() (string, error) {
		p, err := Start(t.TempDir(), []string{"SECRET_KEY_BASE=" + SecretKeyBase}, path, "config")
		if err != nil {
			t.Fatal(err)
		}
		<-p.Exited
		return p.Output.String(), p.Err
	}
	for name, value := range map[string]string{"CATENARY_LISTEN": ":1", "CATENARY_TEST_PATIENCE": "2", "CATENARY_NONSENSE": "x"} {
		t.Setenv(name, value)
	}
	if text, err := printConfig(); err == nil || !strings.Contains(text, "unknown variable CATENARY_NONSENSE") {
		t.Fatalf("catenary accepts an unknown variable: %v\n%s", err, text)
	}
	unsetConfiguration()
	if text, err := printConfig(); err != nil || strings.Contains(text, "CATENARY_LISTEN") {
		t.Errorf("%v\n%s", err, text)
	}
}

// script/puma looks for the chroot in INSTALL_CACHE, as script/install does.
func TestEnvironment_AMissingChrootIsNamedWithItsPath(t *testing.T) {
	folder := t.TempDir()
	p, err := Start(ProjectRoot, []string{"INSTALL_CACHE=" + folder, "RAILS=7.2", "RAILS_SOURCE="}, ProjectRoot+"/script/puma", "testdata/lab")
	if err != nil {
		t.Fatal(err)
	}
	<-p.Exited
	if want := "missing in " + folder + "/trixie, run script/install trixie"; p.Err == nil || !strings.Contains(p.Output.String(), want) {
		t.Errorf("want %q, got %v\n%s", want, p.Err, p.Output)
	}
}

func TestRailsVersion_IsReadFromTheCheckout(t *testing.T) {
	source := t.TempDir()
	if err := os.WriteFile(source+"/RAILS_VERSION", []byte("8.2.0.alpha\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("RAILS", "6.1")
	t.Setenv("RAILS_SOURCE", source)
	if got := RailsVersion(); got != "8.2" {
		t.Errorf("got %s", got)
	}
}
