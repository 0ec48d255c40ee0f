package front

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

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/rpc"
)

// proxyTo passes requests on to Rails unchanged, with the Host that the browser sent. It does not
// pass on the calls of catenary's own protocol: these only catenary may make.
func proxyTo(backend string, proxies admission.Proxies, errorLog *log.Logger) (http.Handler, error) {
	target, err := url.Parse(backend)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil // a request's Host must not lead it through HTTP_PROXY
	transport.MaxIdleConnsPerHost = 64
	if target.Scheme == "unix" {
		socket := target.Path
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}
		target = &url.URL{Scheme: "http", Host: "localhost"}
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, ErrorLog: errorLog,
		Rewrite: func(r *httputil.ProxyRequest) { rewrite(r, target, proxies) },
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			http.Error(w, "Rails does not answer. It may be starting: try again in a moment.", http.StatusBadGateway)
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case path.Clean("/"+r.URL.Path) == rpc.Path:
			http.NotFound(w, r)
		case r.Method == http.MethodConnect: // would tunnel to another host
			http.Error(w, http.StatusText(http.StatusMethodNotAllowed), http.StatusMethodNotAllowed)
		default:
			proxy.ServeHTTP(w, r)
		}
	}), nil
}

func rewrite(r *httputil.ProxyRequest, target *url.URL, proxies admission.Proxies) {
	r.SetURL(target)
	r.Out.Host = r.In.Host
	// ReverseProxy removes these before it calls Rewrite.
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := r.In.Header.Values(name); len(values) > 0 {
			r.Out.Header[name] = slices.Clone(values)
		}
	}
	scheme := "http"
	if r.In.TLS != nil {
		scheme = "https"
	}
	peer, _, _ := net.SplitHostPort(r.In.RemoteAddr)
	proxies.Forward(r.Out.Header, peer, scheme != target.Scheme, scheme)
}
