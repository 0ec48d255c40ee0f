package cable

import (
	"sync"
	"time"
)

// queues are those of the browsers that do not take what they are sent at
// once. They are known here only as long as they hold something; who is sent to
// directly never comes by.
type queues struct {
	mu     sync.Mutex
	now    map[*socket]time.Time // since when
	lasted Latencies
}

func (q *queues) began(s *socket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.now == nil {
		q.now = map[*socket]time.Time{}
	}
	q.now[s] = time.Now()
}

func (q *queues) ended(s *socket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lasted.add(time.Since(q.now[s]))
	delete(q.now, s)
}

// stats tells how many browsers have a queue, how many bytes wait in these, and
// how long those lasted that are no more.
func (q *queues) stats() (stats QueueStats) {
	q.mu.Lock()
	stats.Lasted = q.lasted
	sockets := make([]*socket, 0, len(q.now))
	for s := range q.now {
		sockets = append(sockets, s)
	}
	q.mu.Unlock()
	for _, s := range sockets {
		s.mu.Lock()
		if !s.shut || s.queue != nil {
			stats.Bytes += s.queued
			stats.Browsers++
		}
		s.mu.Unlock()
	}
	return stats
}

// QueueStats are the numbers of browsers that do not keep up.
type QueueStats struct {
	Browsers int       // now
	Bytes    int       // that wait for them now
	Lasted   Latencies // from the first frame that had to wait until none did
}
