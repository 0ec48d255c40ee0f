package doctor

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/rpc"
)

// Prepare makes a visit to catenary's own address look as a browser's does that
// comes through the proxy for which the app is set up: with a host that the app
// allows, over TLS if the app wants that, from a page that may connect. With
// another address the proxy itself is there, and only the page is chosen. What
// the visit's header has already stays. note says what was pretended.
func (v *Visit) Prepare(settings *rpc.Settings, ours []string, own bool) (note string) {
	if settings == nil {
		settings = &rpc.Settings{AllowSameOriginAsHost: true}
	}
	host, scheme := v.URL.Host, strings.Replace(v.URL.Scheme, "ws", "http", 1)
	var pretended []string
	if name := allowedHost(settings.Hosts, v.URL.Hostname()); own && name != "" {
		host = name
		v.Header.Set("Host", host)
		pretended = append(pretended, "for "+host)
	}
	if own && scheme == "http" && settings.ForceSSL && !settings.AssumeSSL {
		scheme = "https"
		v.Header.Set("X-Forwarded-Proto", "https")
		pretended = append(pretended, "over TLS")
	}
	if settings.AssumeSSL {
		scheme = "https"
	}
	if v.Header.Get("Origin") == "" {
		page := scheme + "://" + host
		origin := v.allowedOrigin(page, host, settings, ours)
		v.Header.Set("Origin", origin)
		if origin != page {
			pretended = append(pretended, "from a page of "+origin)
		}
	}
	if len(pretended) == 0 {
		return ""
	}
	return ", as a browser would ask " + strings.Join(pretended, ", ")
}

// allowedHost is one of the hosts that the app answers to, or "" if it answers
// to the visited one, or cannot be known to.
func allowedHost(hosts []string, visited string) string {
	first := ""
	for _, host := range hosts {
		name := strings.TrimPrefix(host, ".")
		switch {
		case strings.HasPrefix(host, "#<IPAddr"), name == visited, strings.HasPrefix(host, ".") && strings.HasSuffix(visited, host):
			return "" // development allows all addresses
		case first == "" && !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "#<"):
			first = name
		}
	}
	return first
}

// allowedOrigin is the page's own, or the first that the app and catenary let
// connect.
func (v *Visit) allowedOrigin(page, host string, settings *rpc.Settings, ours []string) string {
	theirs, _ := admission.ParseRailsOrigins(settings.AllowedRequestOrigins)
	rules := []*admission.Rules{{
		AnyOrigin: settings.DisableRequestForgeryProtection, SameOrigin: settings.AllowSameOriginAsHost, AssumeSSL: settings.AssumeSSL, ForwardedHost: settings.ForwardedHost, Origins: theirs,
	}}
	if own, err := admission.ParseOrigins(ours); err == nil && own != nil {
		rules = append(rules, &admission.Rules{Origins: own})
	}
	for _, origin := range slices.Concat([]string{page}, settings.AllowedRequestOrigins, ours) {
		if u, err := url.Parse(origin); err != nil || u.Host == "" {
			continue // a pattern
		}
		request := &http.Request{Host: host, Header: v.Header.Clone()}
		request.Header.Set("Origin", origin)
		if v.URL.Scheme == "wss" {
			request.Header.Set("X-Forwarded-Proto", "https")
		}
		if !slices.ContainsFunc(rules, func(r *admission.Rules) bool { return !r.Allow(request) }) {
			return origin
		}
	}
	return page
}
