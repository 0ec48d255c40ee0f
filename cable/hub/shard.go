package hub

import (
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
)

// shardBytes is how much may wait for one shard before the source waits.
const shardBytes = 16 << 20

// shard holds a part of the streams, and delivers for them in one goroutine, but
// for those with a crowd.
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

	crowds sync.WaitGroup // goroutines of streams

	started time.Time // what times are told from
	seen    struct {
		sync.Mutex
		Stats // but for Streams
	}
	sample sample // guarded by seen
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
	defer s.crowds.Wait()
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
		q.Unlock()

		order = order[:0]
		here := batch[:0] // of small streams
		for _, d := range batch {
			if s.handOver(d, dropped) {
				continue
			}
			if len(d.stream.batch) == 0 {
				order = append(order, d.stream)
			}
			d.stream.batch = append(d.stream.batch, d.payload)
			here = append(here, d)
		}
		s.deliver(order, here, dropped)
		clear(order)
		clear(batch)
	}
}

// deliver delivers to each of the streams what is in its batch.
func (s *shard) deliver(order []*stream, batch []delivery, dropped *stats.ThrottledCounter) {
	if len(batch) == 0 {
		return
	}
	deliveries, invalid, bytes := 0, 0, 0
	now := batch[len(batch)-1].arrived
	for _, stream := range order {
		d, i := stream.deliver(now, dropped)
		deliveries, invalid = deliveries+d, invalid+i
		stream.delivered = time.Since(s.started)
	}
	for _, d := range batch {
		bytes += len(d.payload)
	}
	s.see(batch, deliveries, invalid)
	q := &s.queue
	q.Lock()
	q.bytes -= bytes
	q.room.Broadcast()
	q.Unlock()
}

// crowd is how many members a stream must have to be delivered to by a goroutine of
// its own, as long as there is something: the shard's other streams do not wait for
// so many writes.
const crowd = 512

// handOver gives a delivery to the goroutine of a stream with a crowd, and reports
// false if it has none. Only run calls it.
func (s *shard) handOver(d delivery, dropped *stats.ThrottledCounter) bool {
	q := &s.queue
	if d.stream.busy.Load() {
		q.Lock()
		busy := d.stream.busy.Load()
		if busy {
			d.stream.behind = append(d.stream.behind, d)
		}
		q.Unlock()
		if busy {
			return true
		}
	}
	if len(d.stream.batch) > 0 || !d.stream.crowded() { // as it has begun, it goes on
		return false
	}
	d.stream.busy.Store(true)
	d.stream.behind = append(d.stream.behind, d)
	s.crowds.Go(func() { s.serve(d.stream, dropped) })
	return true
}

// serve delivers to one stream until nothing is left.
func (s *shard) serve(to *stream, dropped *stats.ThrottledCounter) {
	q := &s.queue
	for {
		q.Lock()
		batch := to.behind
		to.behind = nil
		to.busy.Store(len(batch) > 0)
		q.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, d := range batch {
			to.batch = append(to.batch, d.payload)
		}
		s.deliver([]*stream{to}, batch, dropped)
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
	s.sample.take(s, batch)
}

func (s *shard) subscribed(took time.Duration) {
	s.seen.Lock()
	defer s.seen.Unlock()
	s.seen.Subscribes.Add(took)
}
