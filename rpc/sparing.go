package rpc

import (
	"errors"
	"net/http"
	"sync"
	"time"
)

// sparing asks an app that does not know us less and less: each question is an
// error in Rails' log.
type sparing struct {
	mu    sync.Mutex
	err   error // the last answer; nil: the app knows us, or was not reached
	pause time.Duration
	next  time.Time // when it may be asked again
}

// ask calls f unless it is too early, and then repeats what was answered last.
func (s *sparing) ask(now time.Time, f func() (*Settings, error)) (*Settings, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil && now.Before(s.next) {
		return nil, s.err
	}
	settings, err := f()
	var answer *StatusError
	if !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		s.err, s.pause = nil, 0
		return settings, err
	}
	s.pause = min(max(2*s.pause, time.Second), withoutGem)
	s.err, s.next = err, now.Add(s.pause)
	return nil, err
}
