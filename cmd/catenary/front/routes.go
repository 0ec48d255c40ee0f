package front

import (
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/config"
)

// Router serves the requests of browsers.
type Router struct {
	paths       []string
	cable, rest http.Handler
}

// Routes sends the cable's paths to cable, and everything else to Rails if catenary is the app's
// front (cfg.Proxy). errorLog is for errors of proxied requests.
func Routes(cfg *config.Config, cable http.Handler, proxies admission.Proxies, log *slog.Logger,
	errorLog *log.Logger) (*Router, error) {
	rest := http.NotFoundHandler()
	outcome := "404"
	if cfg.Proxy {
		proxy, err := proxyTo(cfg.Backend.URL, proxies, errorLog)
		if err != nil {
			return nil, err
		}
		rest = proxy
		outcome = "passed on to Rails"
	}
	strays := stats.NewThrottledCounter("an Action Cable handshake came to a path that is not in paths", log)
	return &Router{paths: cfg.Paths, cable: cable, rest: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isCableHandshake(r) {
			strays.Add("elsewhere", "path", r.URL.Path, "paths", strings.Join(cfg.Paths, " "), "outcome", outcome)
		}
		rest.ServeHTTP(w, r)
	})}, nil
}

// ServeHTTP serves a request.
func (h *Router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.isCable(r) {
		h.cable.ServeHTTP(w, r)
		return
	}
	h.rest.ServeHTTP(w, r)
}

func (h *Router) isCable(r *http.Request) bool {
	return MatchAny(h.paths, []string{r.URL.EscapedPath()})
}

// MatchAny reports whether one of the patterns matches one of the paths.
func MatchAny(patterns, paths []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		return slices.ContainsFunc(paths, func(path string) bool { return match(pattern, path) })
	})
}

// match reports whether a pattern matches a path; * in a pattern is any one segment. As in Rails'
// router, repeated and trailing slashes are ignored and escapes are not decoded
// (actionpack/lib/action_dispatch/journey/router/utils.rb, normalize_path).
func match(pattern, path string) bool {
	segments := strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
	wanted := strings.FieldsFunc(pattern, func(c rune) bool { return c == '/' })
	if len(segments) != len(wanted) || !strings.HasPrefix(path, "/") {
		return false
	}
	for i, segment := range segments {
		if wanted[i] == segment || wanted[i] == "*" {
			continue
		}
		escaped := &url.URL{Path: "/" + wanted[i]}
		if escaped.EscapedPath() != "/"+segment {
			return false
		}
	}
	return true
}

// isCableHandshake reports whether a request opens a WebSocket for Action Cable.
func isCableHandshake(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") &&
		strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), "actioncable-")
}
