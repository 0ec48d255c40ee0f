package rpc

import (
	"sync"
	"time"
)

// lanes are what makes the calls: so many are in flight, so many wait, and the rest is turned away, for Puma's threads also
// serve the app's web requests. The work is done in the lanes' goroutines and
// not in those that wait for it: these are thousands in a storm, and stay as
// small as they began.
type lanes struct {
	mu      sync.Mutex
	limit   int
	running int
	maxWait int
	there   line        // waiting: calls for connections that are open
	coming  line        // waiting: calls that open one
	passed  int         // calls of there, since the last of coming, while both waited
	idle    []chan *job // of lanes without work, the last used at the end
	closed  bool
}

// job is a call on its way. done is closed when it has its outcome.
type job struct {
	run    func()
	done   chan struct{}
	coming bool
}

// arrivals: while both wait, one in so many calls is for somebody who comes, and
// the others for those who are there. So nobody's action waits for all who come in
// a storm, and each subscribes soon after its welcome, while Rails still holds its
// objects; but they do come.
const arrivals = 4

// idleLane is how long a lane waits for work before it ends.
const idleLane = 5 * time.Second

// submit has the job done, now or in its turn. It reports false if too many
// wait already.
func (l *lanes) submit(j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch last := len(l.idle) - 1; {
	case l.running < l.limit && last >= 0:
		l.running++
		l.idle[last] <- j // a lane that waits always takes it
		l.idle = l.idle[:last]
	case l.running < l.limit:
		l.running++
		go l.work(j)
	case len(l.there)+len(l.coming) < l.maxWait:
		l.lineOf(j).append(j)
	default:
		return false
	}
	return true
}

// withdraw takes back a job whose turn has not come; it reports whether it
// was so.
func (l *lanes) withdraw(j *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lineOf(j).remove(j)
}

func (l *lanes) lineOf(j *job) *line {
	if j.coming {
		return &l.coming
	}
	return &l.there
}

// first takes the job whose turn it is; nil if none waits.
func (l *lanes) first() *job {
	if len(l.there) == 0 || len(l.coming) > 0 && l.passed >= arrivals-1 {
		l.passed = 0
		return l.coming.take()
	}
	if len(l.coming) > 0 {
		l.passed++
	}
	return l.there.take()
}

func (l *lanes) work(j *job) {
	work := make(chan *job, 1)
	tired := time.NewTimer(idleLane)
	defer tired.Stop()
	for {
		j.run()
		close(j.done)
		if j = l.next(work); j != nil {
			continue
		}
		tired.Reset(idleLane)
		select {
		case j = <-work:
		case <-tired.C:
			if l.leave(work) {
				return
			}
			j = <-work
		}
		if j == nil { // closed
			return
		}
	}
}

// next returns the job whose turn it is. If there is none, or too many
// lanes run, the lane is idle.
func (l *lanes) next(work chan *job) *job {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.running <= l.limit {
		if j := l.first(); j != nil {
			return j
		}
	}
	l.running--
	if l.closed {
		close(work)
	} else {
		l.idle = append(l.idle, work)
	}
	return nil
}

// leave ends an idle lane, unless it has been given work in this moment.
func (l *lanes) leave(work chan *job) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, other := range l.idle {
		if other == work {
			l.idle = append(l.idle[:i], l.idle[i+1:]...)
			return true
		}
	}
	return false
}

// setLimit changes how many calls may be in flight.
func (l *lanes) setLimit(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit == n {
		return
	}
	l.limit = n
	for l.running < l.limit {
		j := l.first()
		if j == nil {
			return
		}
		l.running++
		go l.work(j)
	}
}

// close ends the lanes that are or become idle.
func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, work := range l.idle {
		close(work)
	}
	l.idle = nil
}

func (l *lanes) limited() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

func (l *lanes) load() (inFlight, waiting int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.running, len(l.there) + len(l.coming)
}
