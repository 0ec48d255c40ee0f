package rpc

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// ErrNotSent means that no byte of the call has reached Rails, so it may be made again. After any
// other error the call may have run.
var ErrNotSent = errors.New("call not sent")

// ErrBusy means that Options.Queue calls wait already.
var ErrBusy = fmt.Errorf("too many calls queued for Rails: %w", ErrNotSent)

// timeoutError is the error of a POST that was not answered within that time.
type timeoutError time.Duration

func (e timeoutError) Error() string {
	return fmt.Sprintf("Rails did not answer within %v (backend.timeout, for calls)", time.Duration(e))
}

// needError is the error of a full call to which Rails answered that it needs the state.
func needError(need string) error { return fmt.Errorf("Rails asked for %q after a full call", need) }

// StatusError is an HTTP status other than 200: the gem is absent or rejects catenary, or something
// between catenary and Rails answered.
type StatusError struct {
	Status int
	Text   string // first line of the body
}

func newStatusError(status int, body []byte) *StatusError {
	text, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return &StatusError{status, text[:min(len(text), 200)]}
}

func (e *StatusError) Error() string {
	switch e.Status {
	case http.StatusForbidden:
		return fmt.Sprintf("Rails rejected catenary's signature (403): %s: "+
			"give both the same CATENARY_SECRET, or let both read the same secret_key_base", e.Text)
	case http.StatusNotFound:
		return "Rails does not know /_catenary (404): add the gem catenary-rails to the Gemfile " +
			"(or require it in config/application.rb) and restart; if the gem is there, the secrets differ, " +
			"as Rails' log says; to start without the gem, relay everything to the app's own Action Cable " +
			"with --pass-through all"
	case http.StatusBadRequest:
		return fmt.Sprintf("Rails does not understand catenary's call (400): %s: "+
			"use the same version of the gem and of catenary", e.Text)
	}
	return fmt.Sprintf("Rails answered /_catenary with status %d: look into Rails' log; "+
		"if there is a proxy between them, point backend.url at Puma itself", e.Status)
}
