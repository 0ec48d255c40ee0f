package admission

import (
	"net/http"
	"testing"
)

func TestForward_AddsWhatNoTrustedProxyHasSaid(t *testing.T) {
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "198.51.100.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ peer, said, want string }{
		{"203.0.113.7", "", "203.0.113.7"},
		{"203.0.113.7", "6.6.6.6", "6.6.6.6, 203.0.113.7"}, // a browser that lies
		{"10.1.2.3", "203.0.113.7", "203.0.113.7"},
		{"::ffff:10.1.2.3", "203.0.113.7", "203.0.113.7"},
		{"198.51.100.1", "203.0.113.7", "203.0.113.7"}, // the app need not know this proxy
		{"10.1.2.3", "", "10.1.2.3"},
		{"", "203.0.113.7", "203.0.113.7"}, // of a Unix socket
	} {
		header := http.Header{}
		if one.said != "" {
			header.Set("X-Forwarded-For", one.said)
		}
		proxies.Forward(header, one.peer, true, "https")
		if got := header.Get("X-Forwarded-For"); got != one.want || header.Get("X-Forwarded-Proto") != "https" {
			t.Errorf("%s says %q: %q, %s", one.peer, one.said, got, header.Get("X-Forwarded-Proto"))
		}
	}
}
