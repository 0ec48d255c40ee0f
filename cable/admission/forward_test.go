package admission

import (
	"net/http"
	"testing"
)

func TestForward_AddsPeersExceptTrustedProxies(t *testing.T) {
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "198.51.100.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ peer, forwarded, want string }{
		{"203.0.113.7", "", "203.0.113.7"},
		{"203.0.113.7", "6.6.6.6", "6.6.6.6, 203.0.113.7"}, // forged by the browser
		{"10.1.2.3", "203.0.113.7", "203.0.113.7"},
		{"::ffff:10.1.2.3", "203.0.113.7", "203.0.113.7"},
		{"198.51.100.1", "203.0.113.7", "203.0.113.7"}, // the app need not know this proxy
		{"10.1.2.3", "", "10.1.2.3"},
		{"", "203.0.113.7", "203.0.113.7"}, // of a Unix socket
	} {
		header := http.Header{}
		if one.forwarded != "" {
			header.Set("X-Forwarded-For", one.forwarded)
		}
		proxies.Forward(header, one.peer, true, "https")
		if got := header.Get("X-Forwarded-For"); got != one.want || header.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("%s with X-Forwarded-For %q: %q, %s", one.peer, one.forwarded, got, header.Get("X-Forwarded-Proto"))
		}
	}
}
