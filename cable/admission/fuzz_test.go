package admission

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// FuzzProxies checks that a trusted proxy is never taken for the browser, and that only trusted
// proxies are believed.
func FuzzProxies(f *testing.F) {
	f.Add("10.0.0.1:1", "192.0.2.1, 10.0.0.2", "10.0.0.0/8")
	f.Add("[2001:db8::1%eth0]:1", "[::ffff:10.0.0.1]:80,\t2001:db8::2", "::ffff:10.0.0.0/104")
	f.Add("192.0.2.7:1", "1.2.3.4", "::1")
	f.Add("@", "unknown, _hidden", "x")
	f.Fuzz(func(t *testing.T, peer, forwarded, network string) {
		proxies, err := ParseProxies([]string{network})
		if err != nil {
			proxies = nil
		}
		r := &http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": strings.Split(forwarded, "\n")}}
		client := proxies.client(r)
		if client.IsValid() && client.Is4() && proxies.trust(client) {
			t.Errorf("%s is a proxy", client)
		}
		alone := Proxies(nil).client(&http.Request{RemoteAddr: peer})
		if len(proxies) == 0 && client != alone {
			t.Errorf("%s is believed about %s, but is not a proxy", alone, client)
		}
	})
}

// FuzzOrigins checks that an item is an error, a pattern or a string that allows itself only.
func FuzzOrigins(f *testing.F) {
	f.Add("http://a.example", "http://a.example")
	f.Add(`/https?:\/\/.*\.example/`, "https://a.example")
	f.Add("/(?-mix:a)|(?i-mx:b)/i", "B")
	f.Add("/[[:alpha:]&&[a]]\\Q/x", "")
	f.Fuzz(func(t *testing.T, item, origin string) {
		r := httptest.NewRequest("GET", "/cable", nil)
		r.Header.Set("Origin", origin)
		if o, err := ParseOrigins([]string{item}); err == nil && o.allow(r) && len(o.texts) == 1 && item != origin {
			t.Errorf("%q allows %q", item, origin)
		}
		o, unsupported := ParseRailsOrigins([]string{item})
		if o.allow(r) && (origin == "" || len(unsupported) > 0) {
			t.Errorf("%q allows %q", item, origin)
		}
	})
}
