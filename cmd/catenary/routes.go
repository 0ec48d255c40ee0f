package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"slices"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
)

// routes sends the cable's paths to the cable, and the rest to Rails if
// catenary is the front.
func routes(cfg *config.Config, server http.Handler, proxies admission.Proxies, trouble *log.Logger) (http.Handler, error) {
	paths := map[string]bool{}
	for _, one := range cfg.Paths {
		paths[cable.RoutedPath(&url.URL{Path: one})] = true
	}
	rest := http.NotFoundHandler()
	if cfg.Proxy {
		proxy, err := proxyTo(cfg.Backend.URL, proxies, trouble)
		if err != nil {
			return nil, err
		}
		rest = proxy
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if paths[cable.RoutedPath(r.URL)] {
			server.ServeHTTP(w, r)
		} else {
			rest.ServeHTTP(w, r)
		}
	}), nil
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
