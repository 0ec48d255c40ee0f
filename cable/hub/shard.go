package hub

import (
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
)

// shardBytes is how much may wait for one shard before the source waits.
const shardBytes = 16 << 20

// shard holds a part of the streams, and delivers for them in one goroutine.
type shard struct {
	mu      sync.Mutex
	streams map[string]*stream

	queue struct {
		sync.Mutex
		arrived, room sync.Cond
		waiting       []delivery
		bytes         int
		stopped       bool
	}

	started time.Time // what times are told from
	sample  sample
	seen    struct {
		sync.Mutex
		Stats // but for Streams
	}
}

// delivery is a broadcast on its way to its stream.
type delivery struct {
	stream  *stream
	payload []byte
	arrived time.Duration
}

func (s *shard) init() {
	s.streams, s.started = map[string]*stream{}, time.Now()
	s.queue.arrived.L, s.queue.room.L = &s.queue, &s.queue
}

func (s *shard) find(name string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name]
}

func (s *shard) push(to *stream, payload []byte) {
	arrived := time.Since(s.started)
	q := &s.queue
	q.Lock()
	defer q.Unlock()
	for q.bytes > shardBytes && !q.stopped {
		q.room.Wait()
	}
	q.waiting = append(q.waiting, delivery{to, payload, arrived})
	q.bytes += len(payload)
	q.arrived.Signal()
}

func (s *shard) stop() {
	q := &s.queue
	q.Lock()
	defer q.Unlock()
	q.stopped = true
	q.arrived.Broadcast()
	q.room.Broadcast()
}

// run delivers what waits. All that came for a stream in the meantime goes out
// together: under load, one write carries many broadcasts.
func (s *shard) run(dropped *stats.ThrottledCounter) {
	var batch []delivery
	var order []*stream
	q := &s.queue
	for {
		q.Lock()
		for len(q.waiting) == 0 && !q.stopped {
			q.arrived.Wait()
		}
		if len(q.waiting) == 0 {
			q.Unlock()
			return
		}
		batch, q.waiting = q.waiting, batch[:0]
		q.bytes = 0
		q.room.Broadcast()
		q.Unlock()

		order = order[:0]
		for _, d := range batch {
			if len(d.stream.batch) == 0 {
				order = append(order, d.stream)
			}
			d.stream.batch = append(d.stream.batch, d.payload)
		}
		deliveries, invalid := 0, 0
		now := batch[len(batch)-1].arrived
		for _, stream := range order {
			d, i := stream.deliver(now, dropped)
			deliveries, invalid = deliveries+d, invalid+i
			stream.delivered = time.Since(s.started)
		}
		s.see(batch, deliveries, invalid)
		s.sample.take(s, batch)
		clear(order)
		clear(batch)
	}
}

// see counts a batch.
func (s *shard) see(batch []delivery, deliveries, invalid int) {
	s.seen.Lock()
	defer s.seen.Unlock()
	s.seen.Broadcasts += int64(len(batch))
	s.seen.Deliveries += int64(deliveries)
	s.seen.Invalid += int64(invalid)
	for _, d := range batch {
		s.seen.Latencies.Add(d.stream.delivered - d.arrived)
	}
}

func (s *shard) subscribed(took time.Duration) {
	s.seen.Lock()
	defer s.seen.Unlock()
	s.seen.Subscribes.Add(took)
}
