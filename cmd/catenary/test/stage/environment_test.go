package stage

import (
	"os"
	"strings"
	"testing"
)

func TestEnvironment_OfTheOutsideDoesNotConfigureCatenary(t *testing.T) {
	path, err := Built()
	if err != nil {
		t.Fatal(err)
	}
	print := func() (string, error) {
		p, err := Start(t.TempDir(), []string{"SECRET_KEY_BASE=" + SecretKeyBase}, path, "config")
		if err != nil {
			t.Fatal(err)
		}
		<-p.Ended
		return p.Output.String(), p.Err
	}
	for name, value := range map[string]string{"CATENARY_LISTEN": ":1", "CATENARY_TEST_PATIENCE": "2", "CATENARY_NONSENSE": "x"} {
		t.Setenv(name, value)
	}
	if text, err := print(); err == nil || !strings.Contains(text, "unknown variable CATENARY_NONSENSE") {
		t.Fatalf("catenary does not mind: %v\n%s", err, text)
	}
	forgetConfiguration()
	if text, err := print(); err != nil || strings.Contains(text, "CATENARY_LISTEN") {
		t.Errorf("%v\n%s", err, text)
	}
}

// INSTALL_CACHE of script/install is where script/puma looks for the chroot.
func TestEnvironment_NamesTheChroot(t *testing.T) {
	folder := t.TempDir()
	p, err := Start(ProjectRoot, []string{"INSTALL_CACHE=" + folder, "RAILS=7.2", "RAILS_SOURCE="}, ProjectRoot+"/script/puma", "testdata/lab")
	if err != nil {
		t.Fatal(err)
	}
	<-p.Ended
	if want := "missing in " + folder + "/trixie, run script/install trixie"; p.Err == nil || !strings.Contains(p.Output.String(), want) {
		t.Errorf("want %q, got %v\n%s", want, p.Err, p.Output)
	}
}

func TestRailsVersion_IsThatOfTheCheckout(t *testing.T) {
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
