package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// giveBackMemory returns to the system what a storm has left behind. Go itself
// keeps about as much again as is in use, and collects only when that is used
// up, which a server of idle sockets does not do for minutes. When little is
// being allocated and much is kept, one collection costs milliseconds.
func giveBackMemory(ctx context.Context, gogc string) {
	if gogc == "" {
		debug.SetGCPercent(40) // a storm of opens costs a quarter less memory than with 100, and a twentieth more CPU
	}
	debug.FreeOSMemory()                          // what reading the configuration took
	const every, quiet = 2 * time.Second, 4 << 20 // bytes allocated in that time
	tick := time.NewTicker(every)
	defer tick.Stop()
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	var allocated, before, after uint64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		metrics.Read(samples)
		allocated, before = samples[0].Value.Uint64(), allocated
		held := samples[1].Value.Uint64() - samples[2].Value.Uint64()
		if allocated-before < quiet && held > after+after/4+16<<20 {
			debug.FreeOSMemory()
			metrics.Read(samples)
			after = samples[1].Value.Uint64() - samples[2].Value.Uint64()
		}
	}
}
