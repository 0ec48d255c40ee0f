package cable

import (
	"log/slog"
	"maps"
	"sync"
	"time"
)

// tellEvery is how often the log hears of one kind of trouble, however often
// browsers make it.
const tellEvery = time.Minute

// tally counts what browsers are refused, by kind, and tells the log of each
// kind at most once a minute.
type tally struct {
	message string
	log     *slog.Logger

	mu    sync.Mutex
	count map[string]int64
	told  map[string]told
}

type told struct {
	at    time.Time
	count int64
}

// newTally names the kinds, so that who watches their counts sees the first.
func newTally(message string, log *slog.Logger, kinds ...string) *tally {
	return &tally{message: message, log: log, count: zeros(kinds), told: map[string]told{}}
}

func zeros(kinds []string) map[string]int64 {
	count := make(map[string]int64, len(kinds))
	for _, kind := range kinds {
		count[kind] = 0
	}
	return count
}

// note counts what is no trouble, or what the log hears of elsewhere.
func (t *tally) note(kind string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[kind]++
}

// add counts trouble. What else there is to say of it, the log hears of the one
// that it is told of.
func (t *tally) add(kind string, more ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count[kind]++
	last, now := t.told[kind], time.Now()
	if !last.at.IsZero() && now.Sub(last.at) < tellEvery {
		return
	}
	t.log.Warn(t.message, append([]any{"why", kind, "times", t.count[kind] - last.count}, more...)...)
	t.told[kind] = told{now, t.count[kind]}
}

func (t *tally) counts() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.count)
}
