package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrNotSent says that no byte of the call has reached Rails: it may be tried
// again. Everything else may have run.
var ErrNotSent = errors.New("the call was not sent")

// ErrBusy says that as many calls wait as may wait.
var ErrBusy = fmt.Errorf("too many calls wait for Rails: %w", ErrNotSent)

// timeoutError is how long Rails has had.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("Rails has not answered within %v (for calls that is backend.timeout)", time.Duration(e))
}

// StatusError is an HTTP answer other than 200: the gem is absent, refuses us,
// or something between us and Rails answered.
type StatusError struct {
	Status int
	Text   string // the gem's own words, for 403 and 400
}

// newStatusError keeps the first line of the answer.
func newStatusError(status int, body []byte) *StatusError {
	text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return &StatusError{status, text[:min(len(text), 200)]}
}

func (e *StatusError) Error() string {
	switch e.Status {
	case http.StatusForbidden:
		return fmt.Sprintf("Rails refuses catenary's calls (403): %s: give both the same CATENARY_SECRET, or let both read the same secret_key_base", e.Text)
	case http.StatusNotFound:
		return "Rails does not know /_catenary (404): add the gem catenary-rails to the Gemfile (or require it in config/application.rb) and restart; if it is there, the secrets differ, and Rails' log says so; to start without the gem, relay everything to the app's own Action Cable with --pass-through all"
	case http.StatusBadRequest:
		return fmt.Sprintf("Rails does not understand catenary's call (400): %s: use the same version of the gem and of catenary", e.Text)
	}
	return fmt.Sprintf("Rails answered /_catenary with status %d: look into Rails' log; if a proxy stands between, point backend.url at Puma itself", e.Status)
}
