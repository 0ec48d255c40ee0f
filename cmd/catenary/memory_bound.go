package main

import (
	"context"
	"log/slog"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable"
)

// memoryBound keeps the process within the memory that it may use. Up to the soft
// limit it is Go's affair, which collects garbage more eagerly; what is still in
// use then are connections, and what waits for browsers that do not read.
type memoryBound struct {
	bytes  int64 // 0: none
	server *cable.Server
	log    *slog.Logger

	mu        sync.Mutex
	passed    int       // bytes of broadcasts since the last look
	looked    time.Time // the last time
	short     bool      // new handshakes are refused
	collected time.Time // when garbage was collected last on purpose
	took      time.Duration
}

// newMemoryBound takes the setting, else, unless memory is shared with a command
// that we start, the control group's, else GOMEMLIMIT, which is Go's own soft
// limit and stays.
func newMemoryBound(setting int64, shared bool, goMemLimit string, server *cable.Server, log *slog.Logger) *memoryBound {
	b := &memoryBound{bytes: setting, server: server, log: log}
	if b.bytes == 0 && !shared {
		b.bytes = cgroupMemory("/")
	}
	if goMemLimit != "" {
		if soft := debug.SetMemoryLimit(-1); b.bytes == 0 && soft != math.MaxInt64 {
			b.bytes = soft
		}
	} else if b.bytes > 0 {
		debug.SetMemoryLimit(b.part(85))
	}
	return b
}

func (b *memoryBound) part(percent int64) int64 { return b.bytes / 100 * percent }

const (
	fullPercent = 75 // in use: handshakes are refused, and queues given up,
	roomPercent = 60 // until so much is, or no long queue is left
)

// run looks after it until ctx ends, the more often the less room there is.
func (b *memoryBound) run(ctx context.Context) {
	for {
		pause := 250 * time.Millisecond
		if b.look() > b.part(50) {
			pause = 50 * time.Millisecond
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// take looks after it while broadcasts come, which wait meanwhile: they grow
// the queues faster than any clock ticks.
func (b *memoryBound) take(bytes int) {
	b.mu.Lock()
	b.passed += bytes
	due := b.passed > 1<<20 || time.Since(b.looked) > 50*time.Millisecond
	b.mu.Unlock()
	if due {
		b.look()
	}
}

// look collects garbage before it believes that memory is short. That takes at
// most a tenth of the time, unless there is no more room at all.
func (b *memoryBound) look() (used int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	used = inUse()
	b.passed, b.looked = 0, time.Now()
	if used < b.part(fullPercent) && !b.short {
		return used
	}
	if time.Since(b.collected) < 10*b.took && used < b.part(90) {
		return used
	}
	begun := time.Now()
	debug.FreeOSMemory()
	b.collected, b.took = time.Now(), time.Since(begun)
	used = inUse()
	ended := 0
	if used >= b.part(fullPercent) || used >= b.part(roomPercent) && b.short {
		ended = b.server.ShedBacklog()
	}
	if ended > 0 {
		b.log.Warn("memory is short: browsers that do not keep up have lost their connection", "connections", ended, "in_use", used, "limit", b.bytes)
	}
	b.turn(used >= b.part(fullPercent) || ended > 0)
	return used
}

func (b *memoryBound) turn(short bool) {
	if b.short != short {
		b.short = short
		b.server.RejectForMemory(short)
	}
}

// inUse is what Go has from the system and has neither given back nor free.
func inUse() int64 {
	samples := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64() - samples[2].Value.Uint64())
}
