package admission

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestRules_DecideAsTheApp(t *testing.T) {
	listed, unsupported := ParseRailsOrigins([]string{
		"http://a.test", `/http:\/\/re\d+\.test\z/`, `/\Ahttps:\/\/B\.test\z/i`, `/(?-mix:x\.test)|(?i-mx:Y\.test)/`,
		`/a b/x`, `/look(?=ahead)/`, `/\h/`, `/[a-z&&[^b]]/`, `/a(?i)b|c/`, "#<Proc:0x01>",
	})
	if !slices.Equal(unsupported, []string{`/a b/x`, `/look(?=ahead)/`, `/\h/`, `/[a-z&&[^b]]/`, `/a(?i)b|c/`, "#<Proc:0x01>"}) {
		t.Errorf("unsupported: %q", unsupported)
	}
	rules := Rules{SameOrigin: true, Origins: listed}
	rails82 := Rules{SameOrigin: true, ForwardedHost: true}
	forwardedHost := func(hosts ...string) http.Header { return http.Header{"X-Forwarded-Host": hosts} }
	for _, one := range []struct {
		rules  Rules
		origin string
		header http.Header
		secure bool
		want   bool
	}{
		{rules, "http://host.test:80", nil, false, true},
		{rules, "http://host.test", nil, false, false},
		{rules, "https://host.test:80", nil, false, false},
		{rules, "https://host.test:80", nil, true, true},
		{rules, "https://host.test:80", http.Header{"X-Forwarded-Proto": {"https"}}, false, true},
		{rules, "https://host.test:80", http.Header{"X-Forwarded-Ssl": {"on"}}, false, true},
		{rules, "https://host.test:80", http.Header{"X-Forwarded-Proto": {"https, http"}}, false, false},
		{rules, "http://host.test:80", http.Header{"X-Forwarded-Proto": {"https, http"}}, false, false},
		{rules, "https://host.test:80", http.Header{"Forwarded": {"for=1.2.3.4;proto=https"}}, false, false},
		{rules, "https://host.test:80", http.Header{"Forwarded": {"proto=https"}, "X-Forwarded-Proto": {"https"}}, false, true},
		{Rules{SameOrigin: true, AssumeSSL: true}, "https://host.test:80", nil, false, true},
		{rules, "http://pub.test", forwardedHost("pub.test"), false, false}, // Rails < 8.2
		{rules, "http://host.test:80", forwardedHost("pub.test"), false, true},
		{rails82, "http://pub.test", forwardedHost("pub.test"), false, true},
		{rails82, "http://host.test", forwardedHost("pub.test"), false, false},
		{rails82, "http://b.test:81", forwardedHost("a.test, b.test:81"), false, true},
		{rails82, "http://a.test", forwardedHost("a.test, b.test"), false, false},
		{rails82, "http://b.test", forwardedHost("a.test", "b.test:80"), false, true},
		{rails82, "https://b.test", forwardedHost("b.test:443"), true, true},
		{rails82, "http://b.test:443", forwardedHost("b.test:443"), false, true},
		{rails82, "http://host.test", forwardedHost(""), false, true},
		{rails82, "http://host.test:80", nil, false, false},
		{Rules{}, "http://host.test:80", nil, false, false},
		{Rules{AnyOrigin: true}, "", nil, false, true},
		{rules, "", nil, false, false},
		{rules, "http://a.test", nil, false, true},
		{rules, "http://A.test", nil, false, false},
		{rules, "xhttp://re12.test", nil, false, true}, // as in Rails: the pattern may match a part
		{rules, "http://re.test", nil, false, false},
		{rules, "https://b.TEST", nil, false, true},
		{rules, "http://x.test", nil, false, true},
		{rules, "http://X.test", nil, false, false},
		{rules, "http://y.test", nil, false, true},
		{rules, "/look(?=ahead)/", nil, false, false},
		{rules, "http://a.test\nhttp://evil.test", nil, false, false}, // two headers
		{rules, "http://host.test:80\nhttp://evil.test", nil, false, false},
	} {
		r := &http.Request{Host: "host.test:80", Header: one.header.Clone()}
		if r.Header == nil {
			r.Header = http.Header{}
		}
		if one.origin != "" {
			r.Header["Origin"] = strings.Split(one.origin, "\n")
		}
		if one.secure {
			r.TLS = &tls.ConnectionState{}
		}
		if got := one.rules.Allow(r); got != one.want {
			t.Errorf("%s with %v, secure %t: %t", one.origin, one.header, one.secure, got)
		}
	}
}
