package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// doctor runs `catenary doctor` beside the catenary of a world. It returns the findings, "verdict step" first.
func (w *world) doctor(t *testing.T, arguments ...string) (findings string, status int) {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"doctor", "--environment", "test", "--backend-url", w.app.url(), "--listen", w.catenary.address,
		"--operations-listen", w.catenary.operations}, arguments...)
	p, err := start(os.TempDir(), withSecret, path, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	if !p.endsWithin(60 * time.Second) {
		t.Fatalf("the doctor does not come to an end:\n%s", p.output)
	}
	if err := mentions(p.output.String(), nil); err != nil {
		t.Error(err)
	}
	return strings.Join(strings.Fields(p.output.String()), " "), p.command.ProcessState.ExitCode()
}

func TestDoctor_NamesTheCause(t *testing.T) {
	w := newWorld(t, "catenary")
	behind := func(change func(r *http.Request)) string {
		backend := &url.URL{Scheme: "http", Host: w.catenary.address}
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(backend)
			r.Out.Host = r.In.Host
			change(r.Out)
		}})
		t.Cleanup(proxy.Close)
		return proxy.URL + "/cable"
	}
	for name, patient := range map[string]struct {
		arguments []string
		status    int
		findings  []string
	}{
		"a healthy one":                         {nil, 0, []string{"ok configuration", "ok Rails", "ok broadcasts", "ok catenary", "ok handshake", "ok welcome", "ok ping"}},
		"behind a proxy that passes everything": {[]string{behind(func(*http.Request) {})}, 0, []string{"ok handshake", "ok ping"}},
		"behind one that drops Upgrade": {[]string{behind(func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Del("Connection") })}, 1,
			[]string{"FAIL handshake", "Connection: Upgrade", "proxy_http_version 1.1"}},
		"a page from elsewhere": {[]string{"--origin", "http://elsewhere.example"}, 1, []string{"FAIL handshake", "http://elsewhere.example to config.action_cable.allowed_request_origins"}},
		"behind one that drops Host": {[]string{behind(func(r *http.Request) { r.Host = "" })}, 1,
			[]string{"FAIL handshake", "the proxy must pass on Host"}},
		"a path that leads to Puma":      {[]string{"ws://" + w.app.address + "/cable"}, 0, []string{"look handshake", "Send this path to catenary"}},
		"a path that leads nowhere":      {[]string{"ws://" + w.app.address + "/kable?token=" + secretKeyBase}, 1, []string{"FAIL handshake", "mount_path"}},
		"a visitor who is not signed in": {[]string{"ws://" + w.catenary.address + "/cable?mode=reject"}, 0, []string{"ok handshake", "look welcome", "--cookie"}},
		"another prefix": {[]string{"--broadcasts-redis-url", w.redis.url(), "--broadcasts-channel-prefix", "other"}, 1,
			[]string{"FAIL broadcasts Rails publishes with no channel_prefix, catenary listens with the channel_prefix \"other\""}},
		"a Redis that is away": {[]string{"--broadcasts-redis-url", "redis://:" + secretKeyBase + "@" + freeAddress(), "--log-level", "warn"}, 1,
			[]string{"look broadcasts Rails publishes at " + "redis://" + w.redis.address, "FAIL broadcasts"}},
		"another environment": {[]string{"--environment", "production"}, 1, []string{"FAIL Rails it runs in test, catenary in production"}},
		"no catenary":         {[]string{"--operations-listen", freeAddress(), "--listen", freeAddress()}, 1, []string{"FAIL catenary", "start catenary", "FAIL handshake", "cannot be reached"}},
		"no Rails":            {[]string{"--backend-url", "http://" + freeAddress()}, 1, []string{"FAIL Rails", "start the app"}},
	} {
		t.Run(name, func(t *testing.T) {
			if len(patient.arguments) > 2 { // the others look at catenary's counters
				t.Parallel()
			}
			findings, status := w.doctor(t, patient.arguments...)
			if status != patient.status {
				t.Errorf("status %d, want %d", status, patient.status)
			}
			if err := mentions(findings, patient.findings); err != nil {
				t.Error(err)
			}
		})
	}
}
