package admission

import (
	"net/http"
	"net/url"
	"strings"
)

// A rejected handshake is logged with the values that matter and a guess at the cause, since the
// browser's console shows only that the WebSocket failed.

// reasonsOfRails are the kinds of RejectedByRails: the app's middleware or Action Cable rejected
// the handshake.
var reasonsOfRails = [...]string{"origin", "https", "redirect", "host", "path", "error", "other"}

// pageNotFound is Action Cable's answer to an origin that may not connect.
const pageNotFound = "Page not found"

// AddRailsRejection counts and logs a handshake that the app answered without opening a connection.
func (a *Admission) AddRailsRejection(r *http.Request, status int, location, body string) {
	reason, guess := explain(r, status, location, body)
	a.RejectedByRails.AddGuess(reason, guess, append([]any{"status", status}, describe(r)...)...)
}

// reject counts and logs a handshake that is rejected without Rails.
func (a *Admission) reject(reason, guess string, r *http.Request) {
	a.Rejected.AddGuess(reason, guess, describe(r)...)
}

// RejectOrigin counts and logs a handshake from a page that the app's rules do not allow.
func (a *Admission) RejectOrigin(r *http.Request) { a.reject("origin", explainOrigin(r), r) }

// describe returns log attributes of a handshake. None of them is secret.
func describe(r *http.Request) []any {
	return []any{"host", clip(r.Host), "origin", clip(header(r, "Origin")), "scheme", clip(scheme(r))}
}

func clip(text string) string {
	const limit = 200
	if len(text) > limit {
		return text[:limit] + "…"
	}
	return text
}

// explain guesses why the app rejected a handshake.
func explain(r *http.Request, status int, location, body string) (reason, guess string) {
	switch {
	case status == http.StatusNotFound && strings.HasPrefix(body, pageNotFound):
		return "origin", explainOrigin(r)
	case status >= 300 && status < 400 && strings.HasPrefix(location, "https:") && scheme(r) != "https":
		return "https", "the app has config.force_ssl and takes the request for http: let the " +
			"proxy send X-Forwarded-Proto: https, or set config.assume_ssl"
	case status >= 300 && status < 400:
		return "redirect", "the app's middleware redirects this path: exclude the cable's path"
	case status == http.StatusForbidden && strings.Contains(body, "Blocked host"):
		return "host", "add the host to config.hosts, or let the proxy pass on Host as the " +
			"browser sends it"
	case status == http.StatusNotFound:
		return "path", "the app does not mount Action Cable here: compare paths with " +
			"config.action_cable.mount_path"
	case status >= 500:
		return "error", "the app's middleware fails: see Rails' log"
	}
	return "other", "the app's middleware rejects it: see Rails' log"
}

// explainOrigin guesses why the app does not allow a page's origin
// (actioncable/lib/action_cable/connection/base.rb, allow_request_origin?).
func explainOrigin(r *http.Request) string {
	origin := header(r, "Origin")
	page, err := url.Parse(origin)
	switch {
	case origin == "":
		return "the client sends no Origin, so it is not a browser: let it send one that the " +
			"app allows"
	case err != nil || page.Host == "":
		return "the page has no origin of its own, as in a file, a web view or a sandbox: add " +
			"the origin to config.action_cable.allowed_request_origins if it may connect"
	case page.Host == r.Host && page.Scheme == "https" && scheme(r) != "https":
		return "the page was loaded over https but the app sees http: let the proxy send " +
			"X-Forwarded-Proto: https, or set config.assume_ssl"
	case page.Host == r.Host:
		return "the app does not allow pages of its own host: add the origin to " +
			"config.action_cable.allowed_request_origins, or set " +
			"config.action_cable.allow_same_origin_as_host"
	}
	return "the page is from another host than the one requested: let the proxy pass on Host " +
		"as the browser sends it, or add the origin to " +
		"config.action_cable.allowed_request_origins"
}

// explainNoUpgrade guesses why a request does not ask for a WebSocket.
func explainNoUpgrade(r *http.Request) string {
	if r.Header.Get("Sec-WebSocket-Key") != "" || r.Header.Get("Sec-WebSocket-Version") != "" {
		return "a proxy drops Connection: Upgrade. For nginx: proxy_http_version 1.1; " +
			"proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade"
	}
	return "the request is not for a WebSocket: somebody opened this address, or a health " +
		"check uses it instead of /live and /ready at operations.listen"
}

// scheme returns the browser's scheme as Rails sees it, without config.assume_ssl; "" if versions
// of Rack differ.
func scheme(r *http.Request) string { return (&Rules{}).scheme(r) }
