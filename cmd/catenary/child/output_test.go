package child

import (
	"strings"
	"testing"
)

func TestWithoutAddress_DropsTheAddressThatOnlyCatenaryUses(t *testing.T) {
	var out strings.Builder
	w := &withoutAddress{"127.0.0.1:4711", &out}
	for _, text := range []string{"Puma starting\n* Listening on http://127.0.0.1:4711\n* Listening on unix:///tmp/x\n", "Started GET http://127.0.0.1:4711/\n", "no end"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Error(n, err)
		}
	}
	if want := "Puma starting\n* Listening on unix:///tmp/x\nStarted GET http://127.0.0.1:4711/\nno end"; out.String() != want {
		t.Errorf("got %q", out.String())
	}
}
