package cable

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/catenary-cable/catenary/cable/admission/token"
)

func TestConnectionsByToken_ExpireInTheirSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tokens connectionsByToken
		tokens.init()
		start := time.Now()
		add := func(after time.Duration) *Connection {
			c := &Connection{token: &heldToken{Claims: &token.Claims{Subject: "7", Expires: start.Add(after)}}}
			tokens.add(c)
			return c
		}
		past, soon, later, removed := add(-time.Hour), add(10*time.Second), add(48*time.Hour), add(10*time.Second)
		tokens.remove(removed)
		at := func(after time.Duration, want ...*Connection) {
			t.Helper()
			time.Sleep(time.Until(start.Add(after)))
			got := tokens.expired(time.Now().Unix())
			if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
				t.Errorf("after %v: got %v, want %v", after, got, want)
			}
			for _, c := range got {
				tokens.remove(c)
			}
		}
		at(1*time.Second, past)
		at(9 * time.Second)
		at(10*time.Second, soon)
		at(11 * time.Second)
		at(49*time.Hour, later) // the machine was suspended
		if len(tokens.byKey) != 0 || len(tokens.byExpiry) != 0 {
			t.Errorf("something is left: %v %v", tokens.byKey, tokens.byExpiry)
		}
	})
}

func TestRemoteDisconnect_IsWhatRailsPublishes(t *testing.T) {
	stream, payload := RemoteDisconnect([]string{"acme", "gid://app/User/7"}, true, "")
	if stream != "action_cable/Z2lkOi8vYXBwL1VzZXIvNw:acme" || string(payload) != `{"reconnect":true,"type":"disconnect"}` {
		t.Errorf("got %s %s", stream, payload)
	}
}
