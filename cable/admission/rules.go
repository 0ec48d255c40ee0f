package admission

import (
	"net/http"
	"regexp"
	"strings"
)

// Rules are the app's rules about the origin of a handshake
// (actioncable/lib/action_cable/connection/base.rb, allow_request_origin?), for handshakes that are
// accepted without Rails. They are at least as strict as Rails: where versions of Rack differ, or a
// regular expression is unsupported, no page is allowed.
type Rules struct {
	AnyOrigin  bool     // disable_request_forgery_protection
	SameOrigin bool     // allow_same_origin_as_host
	AssumeSSL  bool     // config.assume_ssl
	Origins    *Origins // allowed_request_origins

	// ForwardedHost takes the app's host from X-Forwarded-Host, as Rails 8.2 and later do. Earlier
	// versions use Host, with any port.
	ForwardedHost bool
}

// Allow reports whether the app would allow the handshake's page to connect.
func (r *Rules) Allow(request *http.Request) bool {
	if r.AnyOrigin {
		return true
	}
	origin := header(request, "Origin")
	if r.SameOrigin && origin == r.ownOrigin(request) {
		return true
	}
	return r.Origins != nil && r.Origins.allow(request)
}

// ownOrigin returns the app's own origin. If the scheme is unclear, no page has that origin.
func (r *Rules) ownOrigin(request *http.Request) string {
	scheme, host := r.scheme(request), request.Host
	if !r.ForwardedHost {
		return scheme + "://" + host
	}
	for forwarded := range strings.SplitSeq(header(request, "X-Forwarded-Host"), ",") {
		forwarded = strings.TrimSpace(forwarded)
		if forwarded != "" {
			host = forwarded
		}
	}
	defaultPort := map[string]string{"http": ":80", "https": ":443"}[scheme]
	host = strings.TrimSuffix(host, defaultPort)
	return scheme + "://" + host
}

var forwardedProto = regexp.MustCompile(`(?i)\bproto="?(\w+)`)

// scheme returns the browser's scheme as Rack sees it, or "" if versions of Rack differ.
func (r *Rules) scheme(request *http.Request) string {
	if r.AssumeSSL || header(request, "X-Forwarded-Ssl") == "on" {
		return "https"
	}
	var all []string
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Scheme"} {
		for _, value := range request.Header.Values(name) {
			all = append(all, strings.Split(value, ",")...)
		}
	}
	switch {
	case len(all) > 0:
	case request.TLS != nil:
		all = []string{"https"}
	default:
		all = []string{"http"}
	}
	for _, value := range request.Header.Values("Forwarded") {
		for _, found := range forwardedProto.FindAllStringSubmatch(value, -1) {
			all = append(all, found[1])
		}
	}
	scheme := strings.TrimSpace(all[0])
	for _, other := range all {
		if strings.TrimSpace(other) != scheme {
			return ""
		}
	}
	return scheme
}
