package memory

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Release returns memory to the system after a storm of connections, until ctx is done. Go keeps
// about as much free memory as is in use, and collects garbage only when that is used up; a server
// of idle sockets does not get there for minutes. When little is being allocated and much is free,
// one collection costs milliseconds.
func Release(ctx context.Context) {
	debug.FreeOSMemory() // what reading the configuration took
	const interval = 2 * time.Second
	const quiet = 4 << 20 // bytes allocated in one interval
	tick := time.NewTicker(interval)
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
		resident := samples[1].Value.Uint64() - samples[2].Value.Uint64()
		if allocated-before < quiet && resident > after+after/8+4<<20 {
			debug.FreeOSMemory()
			metrics.Read(samples)
			after = samples[1].Value.Uint64() - samples[2].Value.Uint64()
		}
	}
}
