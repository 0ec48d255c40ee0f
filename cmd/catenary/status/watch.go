package status

import (
	"encoding/json"
	"errors"
)

var errCrowded = errors.New("too many watchers already: close another page or another catenary top")

// watch returns the points so far, and then sends each Status to a channel. The channel has room
// for one: a slow watcher misses some.
func (r *Recorder) watch(statuses chan<- []byte) (history []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.watching) >= maxWatchers {
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

// send sends the Status to the watchers, if there are any.
func (r *Recorder) send() {
	if !r.watched() {
		return
	}
	status, err := json.Marshal(r.Status())
	if err != nil {
		return // impossible: these are numbers and strings
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
