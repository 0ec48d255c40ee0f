package cable

import (
	"cmp"
	"slices"
)

// RefuseForMemory answers new handshakes with 503, or no longer. Those who are
// here stay.
func (s *Server) RefuseForMemory(refuse bool) { s.short.Store(refuse) }

// ShedQueues ends the connections of the browsers for which most waits, half of
// those for which more waits than one write carries, and returns how many. They
// are told nothing: it would have to wait too. They may come back.
func (s *Server) ShedQueues() (ended int) {
	queues := s.queues.longest()
	queues = queues[:(len(queues)+1)/2]
	for _, socket := range queues {
		socket.owner.end("memory", nil)
		socket.mu.Lock()
		if !socket.closed {
			socket.abort()
		}
		socket.mu.Unlock()
	}
	return len(queues)
}

// longest are the sockets of long queues, the longest first.
func (q *queues) longest() (sockets []*socket) {
	type long struct {
		*socket
		bytes int
	}
	var all []long
	q.mu.Lock()
	for s := range q.now {
		all = append(all, long{s, 0})
	}
	q.mu.Unlock()
	for i, s := range all {
		s.mu.Lock()
		if s.queue != nil {
			all[i].bytes = s.queued
		}
		s.mu.Unlock()
	}
	all = slices.DeleteFunc(all, func(s long) bool { return s.bytes <= writeBytes })
	slices.SortFunc(all, func(a, b long) int { return cmp.Compare(b.bytes, a.bytes) })
	for _, s := range all {
		sockets = append(sockets, s.socket)
	}
	return sockets
}
