package admission

import (
	"crypto/tls"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestRules_AreThoseOfTheApp(t *testing.T) {
	listed, unread := ParseRailsOrigins([]string{
		"http://a.test", `/http:\/\/re\d+\.test\z/`, `/\Ahttps:\/\/B\.test\z/i`, `/(?-mix:x\.test)|(?i-mx:Y\.test)/`,
		`/a b/x`, `/look(?=ahead)/`, `/\h/`, `/[a-z&&[^b]]/`, `/a(?i)b|c/`, "#<Proc:0x01>",
	})
	if !slices.Equal(unread, []string{`/a b/x`, `/look(?=ahead)/`, `/\h/`, `/[a-z&&[^b]]/`, `/a(?i)b|c/`, "#<Proc:0x01>"}) {
		t.Errorf("unread: %q", unread)
	}
	rules := Rules{SameOrigin: true, Origins: listed}
	forwarded := Rules{SameOrigin: true, ForwardedHost: true}
	said := func(hosts ...string) http.Header { return http.Header{"X-Forwarded-Host": hosts} }
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
		{rules, "http://pub.test", said("pub.test"), false, false}, // Rails < 8.2
		{rules, "http://host.test:80", said("pub.test"), false, true},
		{forwarded, "http://pub.test", said("pub.test"), false, true},
		{forwarded, "http://host.test", said("pub.test"), false, false},
		{forwarded, "http://b.test:81", said("a.test, b.test:81"), false, true},
		{forwarded, "http://a.test", said("a.test, b.test"), false, false},
		{forwarded, "http://b.test", said("a.test", "b.test:80"), false, true},
		{forwarded, "https://b.test", said("b.test:443"), true, true},
		{forwarded, "http://b.test:443", said("b.test:443"), false, true},
		{forwarded, "http://host.test", said(""), false, true},
		{forwarded, "http://host.test:80", nil, false, false},
		{Rules{}, "http://host.test:80", nil, false, false},
		{Rules{AnyOrigin: true}, "", nil, false, true},
		{rules, "", nil, false, false},
		{rules, "http://a.test", nil, false, true},
		{rules, "http://A.test", nil, false, false},
		{rules, "xhttp://re12.test", nil, false, true}, // as in Rails: it is searched for
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
