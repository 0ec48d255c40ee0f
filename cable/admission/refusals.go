package admission

import (
	"net/http"
	"net/url"
	"strings"
)

// What is refused is logged with what decides about it, and with a guess of
// what is wrong, since the browser's console says no more than that the
// WebSocket has failed.

// refusedByRails are why the app's middleware, or Action Cable, refuses
// handshakes.
var refusedByRails = [...]string{"origin", "https", "redirect", "host", "path", "error", "other"}

// pageNotFound is what Action Cable answers to an origin that may not connect.
const pageNotFound = "Page not found"

// RefusedByRails counts and logs a handshake that the app has answered by
// something else than a WebSocket.
func (a *Admission) RefusedByRails(r *http.Request, status int, location, body string) {
	reason, guess := explain(r, status, location, body)
	a.Refused.AddGuess(reason, guess, append([]any{"status", status}, describe(r)...)...)
}

// reject counts and logs a handshake that is rejected without Rails.
func (a *Admission) reject(reason, guess string, r *http.Request) {
	a.Rejected.AddGuess(reason, guess, describe(r)...)
}

// RejectOrigin counts and logs a page that may not connect by the app's own
// rules.
func (a *Admission) RejectOrigin(r *http.Request) { a.reject("origin", explainOrigin(r), r) }

// describe is what decides about a handshake. None of it is secret.
func describe(r *http.Request) []any {
	return []any{"host", clip(r.Host), "origin", clip(said(r, "Origin")), "scheme", clip(scheme(r))}
}

func clip(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}

func explain(r *http.Request, status int, location, body string) (reason, guess string) {
	switch {
	case status == http.StatusNotFound && strings.HasPrefix(body, pageNotFound):
		return "origin", explainOrigin(r)
	case status >= 300 && status < 400 && strings.HasPrefix(location, "https:") && scheme(r) != "https":
		return "https", "the app has config.force_ssl and is told that the browser speaks http: have the proxy send X-Forwarded-Proto: https, or set config.assume_ssl"
	case status >= 300 && status < 400:
		return "redirect", "the app's middleware sends this path elsewhere: leave the cable's path out"
	case status == http.StatusForbidden && strings.Contains(body, "Blocked host"):
		return "host", "add the host to config.hosts, or have the proxy pass on the Host that the browser names"
	case status == http.StatusNotFound:
		return "path", "the app does not mount Action Cable here: compare paths with config.action_cable.mount_path"
	case status >= 500:
		return "error", "the app's middleware fails: Rails' log says why"
	}
	return "other", "the app's middleware refuses it: Rails' log says why"
}

// explainOrigin guesses why the app does not let a page connect
// (actioncable/lib/action_cable/connection/base.rb, allow_request_origin?).
func explainOrigin(r *http.Request) string {
	origin := said(r, "Origin")
	page, err := url.Parse(origin)
	switch {
	case origin == "":
		return "it names no Origin, as it is no browser: have it name one that the app allows"
	case err != nil || page.Host == "":
		return "the page has no origin of its own, as in a file, a web view or a sandbox: add it to config.action_cable.allowed_request_origins if it may connect"
	case page.Host == r.Host && page.Scheme == "https" && scheme(r) != "https":
		return "the page came over https and the app is told http: have the proxy send X-Forwarded-Proto: https, or set config.assume_ssl"
	case page.Host == r.Host:
		return "the app does not allow pages of its own host: add the origin to config.action_cable.allowed_request_origins, or see config.action_cable.allow_same_origin_as_host"
	}
	return "the page is from another host than the one asked for: have the proxy pass on Host as the browser names it, or add the origin to config.action_cable.allowed_request_origins"
}

func explainNoUpgrade(r *http.Request) string {
	if r.Header.Get("Sec-WebSocket-Key") != "" || r.Header.Get("Sec-WebSocket-Version") != "" {
		return "a proxy takes away Connection: Upgrade. For nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade"
	}
	return "nobody asked for a WebSocket: somebody has opened this address, or a health check comes here in place of /live and /ready at operations.listen"
}

// scheme is what Rails takes the browser's to be, config.assume_ssl apart; "" if
// its versions differ.
func scheme(r *http.Request) string { return (&Rules{}).scheme(r) }
