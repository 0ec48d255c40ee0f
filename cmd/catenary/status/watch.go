package status

import (
	"encoding/json"
	"errors"
)

// Watching is by channels with room for one status: who is slow misses some.

var errCrowded = errors.New("too many watch already: close another page or another catenary top")

// watch returns the points so far, after which statuses come.
func (r *Recorder) watch(statuses chan<- []byte) (history []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.watching) >= watchers {
		return nil, errCrowded
	}
	r.watching[statuses] = struct{}{}
	return json.Marshal(r.points)
}

func (r *Recorder) unwatch(statuses chan<- []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.watching, statuses)
}

func (r *Recorder) watched() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.watching) > 0
}

// show sends the status to those who watch.
func (r *Recorder) show() {
	if !r.watched() {
		return
	}
	status, err := json.Marshal(r.Status())
	if err != nil {
		return // plain numbers and texts cannot fail
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for statuses := range r.watching {
		select {
		case statuses <- status:
		default:
		}
	}
}
