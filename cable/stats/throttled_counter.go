package stats

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// logInterval is the least time between two log lines about one kind of event. Browsers
// may cause the events as often as they like.
const logInterval = time.Minute

// ThrottledCounter counts events by kind and logs each kind at most once a minute. It is
// safe for concurrent use.
type ThrottledCounter struct {
	message string
	log     *slog.Logger

	mu      sync.Mutex
	counts  map[string]int64
	guesses map[string]string    // the latest, by kind
	logged  map[[2]string]logged // by kind and guess
}

// logged is when an event was last logged, and how often it has happened since.
type logged struct {
	at    time.Time
	since int64
}

// NewThrottledCounter returns a counter that logs message. The given kinds start at zero,
// so that Prometheus sees the first event of each.
func NewThrottledCounter(message string, log *slog.Logger, kinds ...string) *ThrottledCounter {
	c := &ThrottledCounter{
		message: message, log: log,
		counts: map[string]int64{}, guesses: map[string]string{}, logged: map[[2]string]logged{},
	}
	for _, kind := range kinds {
		c.counts[kind] = 0
	}
	return c
}

// Count counts an event without logging it.
func (c *ThrottledCounter) Count(kind string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[kind]++
}

// Add counts an event and logs it at most once a minute, with args as attributes.
func (c *ThrottledCounter) Add(kind string, args ...any) { c.AddGuess(kind, "", args...) }

// AddGuess counts an event and logs it with its likely cause. Each guess about a kind is
// logged at most once a minute; callers must use few different ones.
func (c *ThrottledCounter) AddGuess(kind, guess string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[kind]++
	if guess != "" {
		c.guesses[kind] = guess
	}
	event := [2]string{kind, guess}
	last, now := c.logged[event], time.Now()
	last.since++
	if !last.at.IsZero() && now.Sub(last.at) < logInterval {
		c.logged[event] = last
		return
	}
	args = append([]any{"reason", kind, "times", last.since}, args...)
	if guess != "" {
		args = append(args, "guess", guess)
	}
	c.log.Warn(c.message, args...)
	c.logged[event] = logged{at: now}
}

// Counts returns the counts by kind.
func (c *ThrottledCounter) Counts() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// Guesses returns the latest guess about each kind that has one.
func (c *ThrottledCounter) Guesses() map[string]string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.guesses)
}

// Sum returns the count of all kinds together.
func (c *ThrottledCounter) Sum() (sum int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, count := range c.counts {
		sum += count
	}
	return sum
}
