package admission

import (
	"net/http"
	"regexp"
	"strings"
)

// Rules are how the app decides about the origin of a handshake
// (actioncable/lib/action_cable/connection/base.rb, allow_request_origin?), for
// handshakes that are decided without it. They are never less strict than Rails':
// where the versions of Rack differ, or a regular expression cannot be read, nobody is let in.
type Rules struct {
	AnyOrigin  bool     // disable_request_forgery_protection
	SameOrigin bool     // allow_same_origin_as_host
	AssumeSSL  bool     // config.assume_ssl
	Origins    *Origins // allowed_request_origins

	// ForwardedHost has a proxy say what the app's host is (X-Forwarded-Host), as from
	// Rails 8.2 on. Before, it is the Host of the request, with any port.
	ForwardedHost bool
}

// Allow reports whether the app would let the handshake's page connect.
func (r *Rules) Allow(request *http.Request) bool {
	if r.AnyOrigin {
		return true
	}
	origin := said(request, "Origin")
	if r.SameOrigin && origin == r.own(request) {
		return true
	}
	return r.Origins != nil && r.Origins.allow(request)
}

// own is the app's own origin, or nobody's if it is not clear.
func (r *Rules) own(request *http.Request) string {
	scheme, host := r.scheme(request), request.Host
	if !r.ForwardedHost {
		return scheme + "://" + host
	}
	for one := range strings.SplitSeq(said(request, "X-Forwarded-Host"), ",") {
		if one = strings.TrimSpace(one); one != "" {
			host = one
		}
	}
	host = strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host
}

var forwardedProto = regexp.MustCompile(`(?i)\bproto="?(\w+)`)

// scheme is what Rack takes the browser's to be, or "" if its versions differ.
func (r *Rules) scheme(request *http.Request) string {
	if r.AssumeSSL || said(request, "X-Forwarded-Ssl") == "on" {
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
