package rpc

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// settingsBackoff asks an app without the gem for its settings less and less often: each request is
// an error in Rails' log.
type settingsBackoff struct {
	mu    sync.Mutex
	err   error // the last answer, if it was 404
	pause time.Duration
	next  time.Time // when the app may be asked again
}

// ask calls f, unless it is too early after a 404: then it returns the same error again.
func (b *settingsBackoff) ask(now time.Time, f func() (*Settings, error)) (*Settings, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && now.Before(b.next) {
		return nil, b.err
	}
	settings, err := f()
	var answer *StatusError
	if !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		b.err = nil
		b.pause = 0
		return settings, err
	}
	b.pause = min(max(2*b.pause, time.Second), noGemPause)
	b.err = err
	b.next = now.Add(b.pause)
	return nil, err
}
