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
}

// Allow reports whether the app would let the handshake's page connect.
func (r *Rules) Allow(request *http.Request) bool {
	if r.AnyOrigin {
		return true
	}
	origin := request.Header.Get("Origin")
	seen := scheme(request)
	if r.AssumeSSL {
		seen = "https"
	}
	if r.SameOrigin && origin == seen+"://"+request.Host {
		return true
	}
	return r.Origins != nil && r.Origins.allow(request)
}

var forwardedProto = regexp.MustCompile(`(?i)\bproto="?(\w+)`)

// scheme is what Rack takes the browser's to be, or "" if its versions differ.
func scheme(request *http.Request) string {
	if request.Header.Get("X-Forwarded-Ssl") == "on" {
		return "https"
	}
	var said []string
	for _, name := range []string{"X-Forwarded-Proto", "X-Forwarded-Scheme"} {
		for _, value := range request.Header.Values(name) {
			said = append(said, strings.Split(value, ",")...)
		}
	}
	switch {
	case len(said) > 0:
	case request.TLS != nil:
		said = []string{"https"}
	default:
		said = []string{"http"}
	}
	for _, value := range request.Header.Values("Forwarded") {
		for _, found := range forwardedProto.FindAllStringSubmatch(value, -1) {
			said = append(said, found[1])
		}
	}
	first := strings.TrimSpace(said[0])
	for _, other := range said {
		if strings.TrimSpace(other) != first {
			return ""
		}
	}
	return first
}
