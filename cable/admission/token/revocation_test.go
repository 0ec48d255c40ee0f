package token

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRevocations_AreAcceptedOnceIfSignedAndFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := Revocations{Secret: "s"}
		good := Revocation{Subject: "7", Reconnect: true}.Sign("s")
		if one, reason := d.Verify(good); reason != "" || one.Subject != "7" || !one.Reconnect {
			t.Errorf("got %v, %s", one, reason)
		}
		old := Revocation{Subject: "7"}.Sign("s")
		for name, c := range map[string]struct{ payload, reason string }{
			"again":         {string(good), "received before"},
			"another key":   {string(Revocation{Subject: "7"}.Sign("t")), "signature"},
			"other content": {strings.Replace(string(old), `\"7\"`, `\"8\"`, 1), "signature"},
			"no signature":  {`{"revocation":"{\"sub\":\"7\"}"}`, "signature"},
			"garbage":       {"garbage", "invalid JSON"},
		} {
			if _, reason := d.Verify([]byte(c.payload)); !strings.Contains(reason, c.reason) || reason == "" {
				t.Errorf("%s: got %q", name, reason)
			}
		}
		time.Sleep(2 * revocationWindow)
		if _, reason := d.Verify(old); !strings.Contains(reason, "compare the clocks") {
			t.Errorf("old: got %q", reason)
		}
		d.Verify(Revocation{ID: "x"}.Sign("s"))
		if len(d.seen) != 1 {
			t.Errorf("%d nonces are remembered", len(d.seen))
		}
	})
}
