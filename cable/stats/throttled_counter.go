package stats

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// logInterval is how often a ThrottledCounter logs one kind of event, however
// often browsers cause it.
const logInterval = time.Minute

// ThrottledCounter counts what browsers are refused, by kind, and logs each
// kind at most once a minute.
type ThrottledCounter struct {
	message string
	log     *slog.Logger

	mu     sync.Mutex
	counts map[string]int64
	logged map[string]logged
}

// logged is the state of a kind when it was last logged.
type logged struct {
	at    time.Time
	count int64
}

// NewThrottledCounter returns a counter that logs message. The kinds start at
// zero, so that whoever watches the counts sees the first event of each.
func NewThrottledCounter(message string, log *slog.Logger, kinds ...string) *ThrottledCounter {
	c := &ThrottledCounter{message: message, log: log, counts: map[string]int64{}, logged: map[string]logged{}}
	for _, kind := range kinds {
		c.counts[kind] = 0
	}
	return c
}

// Count counts an event without logging it: it is normal, or is logged
// elsewhere.
func (c *ThrottledCounter) Count(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[kind]++
}

// Add counts an event and logs it at most once a minute, with args as further
// attributes.
func (c *ThrottledCounter) Add(kind string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[kind]++
	last, now := c.logged[kind], time.Now()
	if !last.at.IsZero() && now.Sub(last.at) < logInterval {
		return
	}
	c.log.Warn(c.message, append([]any{"why", kind, "times", c.counts[kind] - last.count}, args...)...)
	c.logged[kind] = logged{now, c.counts[kind]}
}

// Counts returns the counts by kind.
func (c *ThrottledCounter) Counts() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// Sum returns the count of all kinds together.
func (t *ThrottledCounter) Sum() (sum int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, count := range t.counts {
		sum += count
	}
	return sum
}
