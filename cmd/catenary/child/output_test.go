package child

import (
	"strings"
	"testing"
)

func TestOutput_DropsTheAddressThatOnlyCatenaryUses(t *testing.T) {
	var out strings.Builder
	o := &output{address: "127.0.0.1:4711", to: &out}
	for _, text := range []string{"Puma starting\n* Listening on http://127.0.0.1:4711\n* Listening on unix:///tmp/x\n", "Started GET http://127.0.0.1:4711/\n", "no end"} {
		if n, err := o.Write([]byte(text)); n != len(text) || err != nil {
			t.Error(n, err)
		}
	}
	if want := "Puma starting\n* Listening on unix:///tmp/x\nStarted GET http://127.0.0.1:4711/\nno end"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
	if elsewhere := o.elsewhere.Load(); elsewhere != nil {
		t.Errorf("it listens on %s", *elsewhere)
	}
}

func TestOutput_NotesAnotherAddress(t *testing.T) {
	o := &output{address: "127.0.0.1:4711", to: new(strings.Builder)}
	o.Write([]byte("=> Booting Puma\n* Listening on http://[::1]:3000\n* Listening on http://127.0.0.1:3001\n"))
	if elsewhere := o.elsewhere.Load(); elsewhere == nil || *elsewhere != "[::1]:3000" {
		t.Error(elsewhere)
	}
}
