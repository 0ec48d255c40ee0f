package socket

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/gorilla/websocket"
)

// backlog tracks the sockets with queued frames. A socket whose frames the kernel takes at once is
// never in it.
type backlog struct {
	mu     sync.Mutex
	since  map[*Socket]time.Time // when each queue began
	lasted stats.Latencies       // see BacklogStats
}

// BacklogStats are the numbers of slow browsers.
type BacklogStats struct {
	Browsers int             // now
	Bytes    int             // queued for them now
	Lasted   stats.Latencies // from the first queued frame until the queue was empty
}

func (b *backlog) began(s *Socket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since == nil {
		b.since = map[*Socket]time.Time{}
	}
	b.since[s] = time.Now()
}

func (b *backlog) ended(s *Socket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lasted.Add(time.Since(b.since[s]))
	delete(b.since, s)
}

func (b *backlog) stats() (found BacklogStats) {
	b.mu.Lock()
	found.Lasted = b.lasted
	sockets := make([]*Socket, 0, len(b.since))
	for s := range b.since {
		sockets = append(sockets, s)
	}
	b.mu.Unlock()
	for _, s := range sockets {
		s.mu.Lock()
		if !s.shut || s.queue != nil {
			found.Bytes += s.queued
			found.Browsers++
		}
		s.mu.Unlock()
	}
	return found
}

// Shed frees memory: of the browsers with more than WriteBytes queued it disconnects the half with
// the longest queues, and returns how many. A disconnect frame would wait in the queue, so it sends
// none; the browsers may reconnect.
func (a *Sockets) Shed() (disconnected int) {
	slow := a.backlog.slowest()
	slow = slow[:(len(slow)+1)/2]
	for _, s := range slow {
		s.owner.End("memory", &Ending{Code: websocket.CloseAbnormalClosure})
		s.mu.Lock()
		if !s.closed {
			s.abort()
		}
		s.mu.Unlock()
	}
	return len(slow)
}

// slowest returns the sockets with more than WriteBytes queued, the longest queue first.
func (b *backlog) slowest() (sockets []*Socket) {
	type queued struct {
		*Socket
		bytes int
	}
	var all []queued
	b.mu.Lock()
	for s := range b.since {
		all = append(all, queued{s, 0})
	}
	b.mu.Unlock()
	for i, s := range all {
		s.mu.Lock()
		if s.queue != nil {
			all[i].bytes = s.queued
		}
		s.mu.Unlock()
	}
	all = slices.DeleteFunc(all, func(s queued) bool { return s.bytes <= WriteBytes })
	slices.SortFunc(all, func(a, b queued) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, s := range all {
		sockets = append(sockets, s.Socket)
	}
	return sockets
}
