package doctor

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/rpc"
)

// Prepare adds headers to a visit. If it goes to catenary's own address, they are those of a
// browser behind the proxy that the app expects: a host that the app allows, TLS if the app
// requires it, an origin that may connect. If it goes to another address, the proxy is on the way,
// and only the origin is added. Headers that the visit already has stay. ours are catenary's own
// allowed origins. note names what was added.
func (v *Visit) Prepare(settings *rpc.Settings, ours []string, own bool) (note string) {
	if settings == nil {
		settings = &rpc.Settings{AllowSameOriginAsHost: true}
	}
	host, scheme := v.URL.Host, strings.Replace(v.URL.Scheme, "ws", "http", 1)
	var added []string
	if name := allowedHost(settings.Hosts, v.URL.Hostname()); own && name != "" {
		host = name
		v.Header.Set("Host", host)
		added = append(added, "for "+host)
	}
	if own && scheme == "http" && settings.ForceSSL && !settings.AssumeSSL {
		scheme = "https"
		v.Header.Set("X-Forwarded-Proto", "https")
		added = append(added, "over TLS")
	}
	if settings.AssumeSSL {
		scheme = "https"
	}
	if v.Header.Get("Origin") == "" {
		page := scheme + "://" + host
		origin := v.allowedOrigin(page, host, settings, ours)
		v.Header.Set("Origin", origin)
		if origin != page {
			added = append(added, "from a page of "+origin)
		}
	}
	if len(added) == 0 {
		return ""
	}
	return ", as a browser would ask " + strings.Join(added, ", ")
}

// allowedHost returns a host from the app's config.hosts, or "" if the visited host is allowed, or
// may be.
func allowedHost(hosts []string, visited string) string {
	first := ""
	for _, host := range hosts {
		name := strings.TrimPrefix(host, ".")
		switch {
		case strings.HasPrefix(host, "#<IPAddr"), name == visited, strings.HasPrefix(host, ".") && strings.HasSuffix(visited, host):
			return "" // in development, all IP addresses are allowed
		case first == "" && !strings.HasPrefix(host, "/") && !strings.HasPrefix(host, "#<"):
			first = name
		}
	}
	return first
}

// allowedOrigin returns the first origin that both the app and catenary allow, beginning with that
// of the page. Without any it returns the page's.
func (v *Visit) allowedOrigin(page, host string, settings *rpc.Settings, ours []string) string {
	theirs, _ := admission.ParseRailsOrigins(settings.AllowedRequestOrigins)
	rules := []*admission.Rules{{
		AnyOrigin: settings.DisableRequestForgeryProtection, SameOrigin: settings.AllowSameOriginAsHost,
		AssumeSSL: settings.AssumeSSL, ForwardedHost: settings.ForwardedHost, Origins: theirs,
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
