package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// routes sends the cable's paths to the cable, and the rest to Rails if
// catenary is the front.
func routes(cfg *config.Config, cable http.Handler, proxies admission.Proxies, log *slog.Logger, trouble *log.Logger) (http.Handler, error) {
	rest := http.NotFoundHandler()
	if cfg.Proxy {
		proxy, err := proxyTo(cfg.Backend.URL, proxies, trouble)
		if err != nil {
			return nil, err
		}
		rest = proxy
	}
	elsewhere := "nobody answers there"
	if cfg.Proxy {
		elsewhere = "Rails serves it natively"
	}
	strays := stats.NewThrottledCounter("a browser opens an Action Cable at a path that is not among catenary's", log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if leadsToAny(cfg.Paths, []string{r.URL.EscapedPath()}) {
			cable.ServeHTTP(w, r)
			return
		}
		if opensCable(r) {
			strays.Add("elsewhere", "path", r.URL.Path, "paths", strings.Join(cfg.Paths, " "), "then", elsewhere)
		}
		rest.ServeHTTP(w, r)
	}), nil
}

// leadsToAny tells whether one of the patterns leads to one of the paths.
func leadsToAny(patterns, paths []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return leadsTo(pattern, path) })
	})
}

// leadsTo tells whether a path is a pattern's, of which * is a segment of any name.
// As for Rails' router, slashes count once, none at the end, and escapes are not undone
// (actionpack/lib/action_dispatch/journey/router/utils.rb, normalize_path).
func leadsTo(pattern, path string) bool {
	names := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	wanted := strings.FieldsFunc(pattern, func(c rune) bool { return c == '/' })
	if len(names) != len(wanted) || !strings.HasPrefix(path, "/") {
		return false
	}
	for i, name := range names {
		if one := wanted[i]; one != name && one != "*" && (&url.URL{Path: "/" + one}).EscapedPath() != "/"+name {
			return false
		}
	}
	return true
}

// opensCable tells whether a request is the handshake of an Action Cable.
func opensCable(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), "actioncable-")
}

// proxyTo passes requests on to Rails as they are, with the Host that the
// browser named. Calls of our own kind are not passed: they come from us only.
func proxyTo(backend string, proxies admission.Proxies, trouble *log.Logger) (http.Handler, error) {
	target, err := url.Parse(backend)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // whoever names a host must not be led there by HTTP_PROXY
	transport.MaxIdleConnsPerHost = 64
	if target.Scheme == "unix" {
		socket := target.Path
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		target = &url.URL{Scheme: "http", Host: "localhost"}
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, ErrorLog: trouble,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
			for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} { // which Rewrite takes away
				if said := r.In.Header.Values(name); len(said) > 0 {
					r.Out.Header[name] = slices.Clone(said)
				}
			}
			scheme := "http"
			if r.In.TLS != nil {
				scheme = "https"
			}
			peer, _, _ := net.SplitHostPort(r.In.RemoteAddr)
			proxies.Forward(r.Out.Header, peer, scheme != target.Scheme, scheme)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, "Rails does not answer. It may be starting: try again in a moment.", http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case path.Clean("/"+r.URL.Path) == rpc.Path:
			http.NotFound(w, r)
		case r.Method == http.MethodConnect: // asks for a way to somewhere else
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		default:
			proxy.ServeHTTP(w, r)
		}
	}), nil
}
