package cable

import (
	"net"
	"net/http"
	"strings"

	"github.com/catenary-cable/catenary/rpc"
)

// describe returns the browser's request as Rails gets it.
func describe(r *http.Request) *rpc.Request {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	d := &rpc.Request{Method: r.Method, Headers: make([][2]string, 0, len(r.Header)+1)}
	d.URL = scheme + "://" + r.Host + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		d.URL += "?" + r.URL.RawQuery
	}
	d.IP, _, _ = net.SplitHostPort(r.RemoteAddr)
	d.Headers = append(d.Headers, [2]string{"Host", r.Host})
	for name, values := range r.Header {
		for _, value := range values {
			d.Headers = append(d.Headers, [2]string{name, value})
		}
	}
	return d
}

// answer sends the browser what Rails' middleware has answered to the handshake.
func answer(w http.ResponseWriter, result *rpc.Result) {
	if result.Status < 200 || result.Status > 599 { // net/http would panic, or not end the response
		http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
		return
	}
	for _, header := range result.Headers {
		switch http.CanonicalHeaderKey(header[0]) {
		case "Content-Length", "Transfer-Encoding", "Connection":
		default:
			w.Header().Add(header[0], header[1])
		}
	}
	w.WriteHeader(result.Status)
	w.Write([]byte(result.Body))
}

// location returns the Location header of an answer, or "".
func location(result *rpc.Result) string {
	for _, header := range result.Headers {
		if strings.EqualFold(header[0], "Location") {
			return header[1]
		}
	}
	return ""
}
