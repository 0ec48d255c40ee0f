package cable

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestDismissals_AreObeyedOnceIfSignedAndFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dismissals{secret: "s"}
		good := Dismissal{Subject: "7", Reconnect: true}.Sign("s")
		if one, why := d.parse(good); why != "" || one.Subject != "7" || !one.Reconnect {
			t.Errorf("got %v, %s", one, why)
		}
		old := Dismissal{Subject: "7"}.Sign("s")
		for name, c := range map[string]struct{ payload, why string }{
			"again":         {string(good), "has come before"},
			"another key":   {string(Dismissal{Subject: "7"}.Sign("t")), "signature"},
			"other content": {strings.Replace(string(old), `\"7\"`, `\"8\"`, 1), "signature"},
			"no signature":  {`{"dismissal":"{\"sub\":\"7\"}"}`, "signature"},
			"garbage":       {"garbage", "cannot be read"},
		} {
			if _, why := d.parse([]byte(c.payload)); !strings.Contains(why, c.why) || why == "" {
				t.Errorf("%s: got %q", name, why)
			}
		}
		time.Sleep(2 * dismissalWindow)
		if _, why := d.parse(old); !strings.Contains(why, "not of now") {
			t.Errorf("old: got %q", why)
		}
		d.parse(Dismissal{ID: "x"}.Sign("s"))
		if len(d.seen) != 1 {
			t.Errorf("%d nonces are remembered", len(d.seen))
		}
	})
}

func TestRemoteDisconnect_IsWhatRailsPublishes(t *testing.T) {
	stream, payload := RemoteDisconnect([]string{"acme", "gid://app/User/7"}, true)
	if stream != "action_cable/Z2lkOi8vYXBwL1VzZXIvNw:acme" || string(payload) != `{"reconnect":true,"type":"disconnect"}` {
		t.Errorf("got %s %s", stream, payload)
	}
}
