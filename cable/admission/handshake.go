package admission

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// CheckRequest reports whether a request is a valid handshake from a page that may connect. If not,
// it has answered the request. With anyVersion the app decides about the WebSocket version: all
// versions have the same frames.
func (a *Admission) CheckRequest(w http.ResponseWriter, r *http.Request, anyVersion bool) bool {
	if !upgradable(r) {
		a.reject("no_upgrade", explainNoUpgrade(r), r)
		PageNotFound(w)
		return false
	}
	malformed := answerMalformed(w, r, anyVersion)
	if malformed {
		a.reject("malformed", "the client is not a browser: a handshake has version 13 and a key", r)
		return false
	}
	if !a.origins.allow(r) {
		a.reject("origin", "the origin is not in catenary's allowed_request_origins", r)
		PageNotFound(w)
		return false
	}
	return true
}

// upgradable reports whether a request asks for a WebSocket, as Rails decides it (websocket-driver,
// WebSocket::Driver.websocket?).
func upgradable(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(header(r, "Upgrade"), "websocket") &&
		listed(r.Header.Values("Connection"), "upgrade")
}

// listed reports whether comma-separated headers contain a word, in any case.
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

// answerMalformed answers a handshake whose version or key is missing or unsupported, and reports
// whether it did.
func answerMalformed(w http.ResponseWriter, r *http.Request, anyVersion bool) bool {
	versions := r.Header.Values("Sec-WebSocket-Version")
	if !listed(versions, "13") && (!anyVersion || len(versions) == 0) {
		w.Header().Set("Sec-WebSocket-Version", "13")
		http.Error(w, "Unsupported WebSocket version: 13 is needed", http.StatusBadRequest)
		return true
	}
	if len(r.Header.Values("Sec-WebSocket-Key")) == 0 { // its content does not matter, as in websocket-driver
		http.Error(w, "Missing handshake request header: Sec-WebSocket-Key", http.StatusBadRequest)
		return true
	}
	return false
}

// PageNotFound answers as Rails does to a request that is not for Action Cable.
func PageNotFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	w.Write([]byte(pageNotFound))
}

// retryAfter is how long a client should wait after a handshake that was over a limit or failed.
const retryAfter = 5 * time.Second

// RejectOverLimit answers a handshake that is over a limit.
func (a *Admission) RejectOverLimit(w http.ResponseWriter, over *OverLimit) {
	a.Rejected.Add(over.Limit)
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, http.StatusText(over.Status), over.Status)
}

// Unavailable answers a handshake that failed because of catenary or Rails. Clients retry by
// themselves.
func Unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, "Service unavailable", http.StatusServiceUnavailable)
}
