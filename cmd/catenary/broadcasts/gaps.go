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
	after   func()    // is called after each gap; may be nil
}

func (g *Gaps) lost(error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	g.current = time.Now()
}

func (g *Gaps) restored(gap time.Duration) {
	g.mu.Lock()
	g.closed += gap
	g.current = time.Time{}
	after := g.after
	g.mu.Unlock()
	if after != nil {
		go after()
	}
}

// AfterGap has f called after each gap.
func (g *Gaps) AfterGap(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.after = f
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
