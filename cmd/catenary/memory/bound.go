package memory

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// Server is what a Bound relieves.
type Server interface {
	// ShedBacklog closes the connections with the longest queues and returns how many.
	ShedBacklog() int
	// RejectForMemory has new handshakes rejected, or no longer.
	RejectForMemory(bool)
}

// Bound keeps the process within its memory limit. Up to Go's soft limit, 85 % of it, the garbage
// collector works harder. What is still in use then belongs to connections and to the queues of
// browsers that do not read.
type Bound struct {
	bytes  int64 // 0: no limit
	server Server
	log    *slog.Logger

	mu           sync.Mutex
	broadcast    int       // bytes of broadcasts since the last check
	checked      time.Time // the last check
	short        bool      // new handshakes are rejected
	collected    time.Time // the last garbage collection that a check has started
	collectionIn time.Duration
}

// NewBound takes the limit from limit, the setting in bytes. If that is 0, it takes the control
// group's limit, unless the process shares that with a command that it started (shared), and else
// GOMEMLIMIT. Where goMemLimit, the variable's value, is not "", Go's soft limit stays as it is.
func NewBound(limit int64, shared bool, goMemLimit string, server Server, log *slog.Logger) *Bound {
	b := &Bound{bytes: limit, server: server, log: log}
	if b.bytes == 0 && !shared {
		b.bytes = cgroupLimit("/")
	}
	if goMemLimit != "" {
		if soft := debug.SetMemoryLimit(-1); b.bytes == 0 && soft != math.MaxInt64 {
			b.bytes = soft
		}
	} else if b.bytes > 0 {
		debug.SetMemoryLimit(b.percent(85))
	}
	return b
}

// Limited reports whether there is a limit at all.
func (b *Bound) Limited() bool { return b.bytes > 0 }

func (b *Bound) percent(percent int64) int64 { return b.bytes / 100 * percent }

const (
	// From shortPercent in use on, handshakes are rejected and browsers with long queues lose their
	// connection, until enoughPercent is reached or no long queue is left.
	shortPercent  = 75
	enoughPercent = 60
)

// Run checks memory until ctx is done, more often above half of the limit.
func (b *Bound) Run(ctx context.Context) {
	for {
		pause := 250 * time.Millisecond
		if b.check() > b.percent(50) {
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Broadcast counts the bytes of a broadcast that is about to be delivered, and checks memory first
// if many have come since the last check: broadcasts fill queues faster than Run looks.
func (b *Bound) Broadcast(bytes int) {
	b.mu.Lock()
	b.broadcast += bytes
	due := b.broadcast > 1<<20 || time.Since(b.checked) > 50*time.Millisecond
	b.mu.Unlock()
	if due {
		b.check()
	}
}

// check collects garbage before it believes that memory is short. Collections take at most a tenth
// of the time, except above 90 % of the limit.
func (b *Bound) check() (used int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	used = inUse()
	b.broadcast = 0
	b.checked = time.Now()
	if used < b.percent(shortPercent) && !b.short {
		return used
	}
	if time.Since(b.collected) < 10*b.collectionIn && used < b.percent(90) {
		return used
	}
	began := time.Now()
	debug.FreeOSMemory()
	b.collected = time.Now()
	b.collectionIn = time.Since(began)
	used = inUse()
	closed := 0
	if used >= b.percent(shortPercent) || used >= b.percent(enoughPercent) && b.short {
		closed = b.server.ShedBacklog()
	}
	if closed > 0 {
		b.log.Warn("memory is short: closed connections of slow browsers", "connections", closed,
			"in_use", used, "limit", b.bytes)
	}
	b.setShort(used >= b.percent(shortPercent) || closed > 0)
	return used
}

func (b *Bound) setShort(short bool) {
	if b.short == short {
		return
	}
	b.short = short
	b.server.RejectForMemory(short)
}

// inUse returns the bytes that Go has from the system and has neither returned nor free.
func inUse() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64() - samples[2].Value.Uint64())
}
