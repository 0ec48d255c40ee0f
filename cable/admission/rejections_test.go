package admission

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
)

// rejection is an answer of the app to a handshake, and what is logged about it.
type rejection struct {
	url, origin string
	headers     map[string]string
	status      int
	location    string
	body        string

	reason, guess string
}

const blockedHost = "Blocked hosts: app.example\n"

func TestAddRailsRejection_GuessesTheCause(t *testing.T) {
	for name, r := range map[string]rejection{
		"a proxy that hides TLS": {
			url: "http://app.example/cable", origin: "https://app.example",
			status: 404, body: pageNotFound,
			reason: "origin", guess: "X-Forwarded-Proto: https",
		},
		"a proxy that drops Host": {
			url: "http://127.0.0.1:8080/cable", origin: "https://app.example",
			status: 404, body: pageNotFound,
			reason: "origin", guess: "pass on Host",
		},
		"a page from elsewhere": {
			url: "http://app.example/cable", origin: "http://other.example",
			status: 404, body: pageNotFound,
			reason: "origin", guess: "allowed_request_origins",
		},
		"an app that does not allow its own host": {
			url: "http://app.example/cable", origin: "http://app.example",
			status: 404, body: pageNotFound,
			reason: "origin", guess: "allow_same_origin_as_host",
		},
		"TLS, and a rejected origin": {
			url: "http://app.example/cable", origin: "https://app.example", headers: map[string]string{"X-Forwarded-Proto": "https"},
			status: 404, body: pageNotFound,
			reason: "origin", guess: "allow_same_origin_as_host",
		},
		"a client without Origin": {
			url: "http://app.example/cable", status: 404, body: pageNotFound,
			reason: "origin", guess: "no Origin",
		},
		"a page without an origin": {
			url: "http://app.example/cable", origin: "null", status: 404, body: pageNotFound,
			reason: "origin", guess: "no origin of its own",
		},
		"force_ssl": {
			url: "http://app.example/cable", origin: "https://app.example",
			status: 301, location: "https://app.example/cable",
			reason: "https", guess: "force_ssl",
		},
		"a sign-in page": {
			url: "http://app.example/cable", origin: "http://app.example",
			status: 302, location: "http://app.example/sign_in",
			reason: "redirect", guess: "middleware",
		},
		"a host that is not allowed": {
			url: "http://app.example/cable", origin: "http://app.example",
			status: 403, body: blockedHost,
			reason: "host", guess: "config.hosts",
		},
		"another path": {
			url: "http://app.example/cable", origin: "http://app.example",
			status: 404, body: "<h1>No route matches</h1>",
			reason: "path", guess: "mount_path",
		},
		"an app that fails": {
			url: "http://app.example/cable", origin: "http://app.example", status: 500,
			reason: "error", guess: "Rails' log",
		},
		"a maintenance page": {
			url: "http://app.example/cable", origin: "http://app.example", status: 401,
			reason: "other", guess: "middleware",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log strings.Builder
			a := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
			request := httptest.NewRequest("GET", r.url+"?token=seCret", nil)
			request.Header.Set("Cookie", "seCret")
			if r.origin != "" {
				request.Header.Set("Origin", r.origin)
			}
			for name, value := range r.headers {
				request.Header.Set(name, value)
			}
			a.AddRailsRejection(request, r.status, r.location, r.body)
			a.AddRailsRejection(request, r.status, r.location, r.body)
			line := log.String()
			for _, part := range []string{"reason=" + r.reason + " ", r.guess, "host=" + request.Host, "scheme=http"} {
				if !strings.Contains(line, part) {
					t.Errorf("the log lacks %q: %s", part, line)
				}
			}
			if strings.Contains(line, "seCret") || strings.Count(line, "\n") != 1 {
				t.Errorf("logged\n%s", line)
			}
			if n := a.RejectedByRails.Counts()[r.reason]; n != 2 {
				t.Errorf("counted %d", n)
			}
		})
	}
}

func TestCheckRequest_DistinguishesAProxyFromAVisitor(t *testing.T) {
	for name, r := range map[string]struct {
		headers map[string]string
		reason  string
		guess   string
	}{
		"a proxy that drops Upgrade": {map[string]string{"Sec-WebSocket-Key": "x", "Sec-WebSocket-Version": "13", "Origin": "https://app.example"}, "no_upgrade", "proxy_http_version 1.1"},
		"a visitor":                  {nil, "no_upgrade", "opened this address"},
		"an old client":              {map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "8"}, "malformed", "version 13"},
	} {
		var log strings.Builder
		a := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
		request := httptest.NewRequest("GET", "http://app.example/cable", nil)
		for name, value := range r.headers {
			request.Header.Set(name, value)
		}
		if a.CheckRequest(httptest.NewRecorder(), request, false) {
			t.Errorf("%s is admitted", name)
		}
		for _, part := range []string{"reason=" + r.reason + " ", r.guess, "host=app.example", "scheme=http"} {
			if !strings.Contains(log.String(), part) {
				t.Errorf("%s: the log lacks %q: %s", name, part, log.String())
			}
		}
	}
}

// TestCheckRequest_LogsEachGuessOnceAMinute: a health check must not hide what a proxy does to
// browsers.
func TestCheckRequest_LogsEachGuessOnceAMinute(t *testing.T) {
	var log strings.Builder
	a := New(Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	for range 3 {
		a.CheckRequest(httptest.NewRecorder(), httptest.NewRequest("GET", "/cable", nil), false)
		browser := httptest.NewRequest("GET", "/cable", nil)
		browser.Header.Set("Sec-WebSocket-Key", "x")
		browser.Header.Set("Origin", "https://"+strings.Repeat("a", 10_000))
		a.CheckRequest(httptest.NewRecorder(), browser, false)
	}
	if lines := strings.Count(log.String(), "\n"); lines != 2 || a.Rejected.Counts()["no_upgrade"] != 6 {
		t.Errorf("%v, and logged\n%s", a.Rejected.Counts(), log.String())
	}
	if log.Len() > 2000 {
		t.Errorf("a browser causes %d bytes in the log", log.Len())
	}
}
