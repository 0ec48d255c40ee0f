package admission

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CheckRequest answers a request that no WebSocket can come of, or that comes
// from a page that may not connect, and then reports false. With anyVersion it is
// the app's affair which versions of WebSocket there are: all have the same frames.
func (a *Admission) CheckRequest(w http.ResponseWriter, r *http.Request, anyVersion bool) bool {
	if !upgradable(r) {
		a.reject("no_upgrade", explainNoUpgrade(r), r)
		PageNotFound(w)
		return false
	}
	if refuseMalformed(w, r, anyVersion) {
		a.reject("malformed", "a client that is no browser: a handshake has version 13 and a key", r)
		return false
	}
	if !a.origins.allow(r) {
		a.reject("origin", "catenary's own allowed_request_origins does not have it", r)
		PageNotFound(w)
		return false
	}
	return true
}

// upgradable reports whether a request asks for a WebSocket, by the three marks
// that Rails looks for (websocket-driver, WebSocket::Driver.websocket?).
func upgradable(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(said(r, "Upgrade"), "websocket") &&
		listed(r.Header.Values("Connection"), "upgrade")
}

func listed(headers []string, word string) bool {
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			if strings.EqualFold(strings.TrimSpace(part), word) {
				return true
			}
		}
	}
	return false
}

// refuseMalformed answers a handshake that no WebSocket can come of.
func refuseMalformed(w http.ResponseWriter, r *http.Request, anyVersion bool) (refused bool) {
	versions := r.Header.Values("Sec-WebSocket-Version")
	if !listed(versions, "13") && (!anyVersion || len(versions) == 0) {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "Unsupported WebSocket version: 13 is needed", http.StatusBadRequest)
		return true
	}
	if len(r.Header.Values("Sec-WebSocket-Key")) == 0 { // any will do, as for websocket-driver
		http.Error(w, "Missing handshake request header: Sec-WebSocket-Key", http.StatusBadRequest)
		return true
	}
	return false
}

// PageNotFound is Rails' answer to what is no cable request.
func PageNotFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	w.Write([]byte(pageNotFound))
}

// retryAfter is when a rejected client may come again.
const retryAfter = 5 * time.Second

// RejectOverLimit answers a handshake that is over a limit.
func (a *Admission) RejectOverLimit(w http.ResponseWriter, over *OverLimit) {
	a.Rejected.Add(over.Limit)
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, http.StatusText(over.Status), over.Status)
}

// Unavailable is the answer when the fault is ours or Rails'. Clients come back
// by themselves.
func Unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, "Service unavailable", http.StatusServiceUnavailable)
}
