package rpc

import (
	"sync"
	"time"
)

// governor says how many calls may be in flight: up to a ceiling, which is what
// Rails' threads allow, as long as calls take as long as usual, and fewer when
// they take much longer: then Rails is short of something that we share with
// the web (the processor, the database), and more calls at once would not be
// done sooner. What lasts becomes usual, so that slow work is not held up for
// good.
type governor struct {
	mu      sync.Mutex
	ceiling int
	limit   int
	usual   map[kind]float64 // seconds that a call takes

	began  time.Time // of the window: what is measured before the next decision
	number int       // calls in it
	seen   map[kind]*seen
	slow   bool // the window before: one alone may be chance
}

// kind is of calls that cost alike.
type kind struct {
	do   string
	full bool // Rails rebuilds the objects
}

type seen struct {
	number  float64
	seconds float64
}

const (
	governorWindow = time.Second // at least, and enough calls to judge by

	muchLonger = 2.5  // times the usual, for fewer in flight
	sooner     = 0.2  // how fast the usual follows when calls get faster
	later      = 0.05 // and when they get slower: about half a minute
)

func newGovernor(ceiling int) *governor {
	return &governor{ceiling: ceiling, limit: ceiling, usual: map[kind]float64{}, seen: map[kind]*seen{}}
}

// note takes a call that Rails has had for so long, and returns the limit.
func (g *governor) note(k kind, took time.Duration, now time.Time) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.number == 0 {
		g.began = now
	}
	g.number++
	if g.seen[k] == nil {
		g.seen[k] = &seen{}
	}
	g.seen[k].number++
	g.seen[k].seconds += took.Seconds()
	if now.Sub(g.began) >= governorWindow && g.number >= min(2*g.limit, 20) {
		g.decide()
	}
	return g.limit
}

// decide ends the window.
func (g *governor) decide() {
	taken, expected := 0.0, 0.0
	for k, s := range g.seen {
		mean := s.seconds / s.number
		usual, known := g.usual[k]
		if !known {
			usual = mean
		}
		taken += s.seconds
		expected += s.number * usual
		if mean < usual {
			usual += (mean - usual) * sooner
		} else {
			usual += (mean - usual) * later
		}
		g.usual[k] = usual
	}
	slow := taken > muchLonger*expected
	switch {
	case slow && g.slow:
		g.limit = max(g.limit/2, 1)
	case !slow:
		g.limit = min(g.limit+1, g.ceiling)
	}
	g.slow = slow
	g.number = 0
	clear(g.seen)
}

// allow changes the ceiling, and returns the limit.
func (g *governor) allow(ceiling int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ceiling > g.ceiling && g.limit == g.ceiling {
		g.limit = ceiling // it was not for Rails' sake that there were no more
	}
	g.ceiling = ceiling
	g.limit = min(g.limit, ceiling)
	return g.limit
}
