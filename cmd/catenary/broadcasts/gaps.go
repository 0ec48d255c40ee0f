package broadcasts

import (
	"sync"
	"time"
)

// Gaps counts the times in which broadcasts may have been missed.
type Gaps struct {
	mu      sync.Mutex
	count   int
	closed  time.Duration
	current time.Time // when the open gap began; zero: there is none

	before func()                // may be nil
	after  func(began time.Time) // may be nil
}

func (g *Gaps) lost(error) {
	g.mu.Lock()
	g.count++
	g.current = time.Now()
	before := g.before
	g.mu.Unlock()
	if before != nil {
		before()
	}
}

func (g *Gaps) restored(gap time.Duration) {
	g.mu.Lock()
	g.closed += gap
	g.current = time.Time{}
	after := g.after
	g.mu.Unlock()
	if after != nil {
		after(time.Now().Add(-gap))
	}
}

// Around has these called when each gap begins, before any later broadcast, and when it has ended. They
// must not block.
func (g *Gaps) Around(before func(), after func(began time.Time)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.before = before
	g.after = after
}

// Total returns the number of gaps and their duration. It includes the open one, if lasting.
func (g *Gaps) Total() (count int, all time.Duration, lasting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all = g.closed
	if lasting = !g.current.IsZero(); lasting {
		all += time.Since(g.current)
	}
	return g.count, all, lasting
}
