// Package epoll tells when connections have something to read, so that an idle one needs no
// goroutine, no stack and no read buffer.
package epoll

// Watcher is told about one descriptor.
type Watcher interface {
	// Ready is called in a goroutine of its own, once for each Watch, WatchHangup and Again.
	Ready()
}
