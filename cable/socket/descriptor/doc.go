// Package descriptor works with TCP connections as bare descriptors: with what never blocks, and with
// a Poller for what must wait. An idle connection then needs no goroutine, no stack and no read
// buffer, and Go's own poller need not know it.
package descriptor

// Watcher is told about one descriptor.
type Watcher interface {
	// Ready is called in a goroutine of its own, once for each Watch, WatchHangup and Again.
	Ready()
}
