package hub

import (
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
)

// queueBytes is how many bytes a shard queues before the source must wait.
const queueBytes = 16 << 20

// shard holds a part of the streams and delivers to them in one goroutine. A large
// stream gets a goroutine of its own while it has deliveries.
type shard struct {
	mu      sync.Mutex
	streams map[string]*stream
	users   int // streams that begin with ConnectionStreams

	queue struct {
		sync.Mutex
		arrived, space sync.Cond
		waiting        []delivery
		bytes          int // in waiting and in all batches
		stopped        bool
	}

	serving sync.WaitGroup // goroutines of large streams

	started time.Time // all other times count from here
	counts  struct {
		sync.Mutex
		Stats // except Streams and Users
	}
	sampler sampler // guarded by counts
}

// delivery is a broadcast on its way to its stream.
type delivery struct {
	stream  *stream
	payload []byte
	arrived time.Duration
}

func (s *shard) init() {
	s.streams = map[string]*stream{}
	s.started = time.Now()
	s.queue.arrived.L = &s.queue
	s.queue.space.L = &s.queue
}

// add adds a stream without members. s.mu is held.
func (s *shard) add(name string) *stream {
	if strings.HasPrefix(name, ConnectionStreams) {
		s.users++
	}
	added := &stream{name: name}
	s.streams[name] = added
	return added
}

// remove removes a stream. s.mu is held.
func (s *shard) remove(name string) {
	if strings.HasPrefix(name, ConnectionStreams) {
		s.users--
	}
	delete(s.streams, name)
}

func (s *shard) find(name string) *stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streams[name]
}

// push queues a broadcast. It blocks while the queue is full.
func (s *shard) push(to *stream, payload []byte) {
	arrived := time.Since(s.started)
	q := &s.queue
	q.Lock()
	defer q.Unlock()
	for q.bytes > queueBytes && !q.stopped {
		q.space.Wait()
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
	q.space.Broadcast()
}

// run delivers until stop is called and the queue is empty. It takes all that is queued
// at once and delivers what belongs to the same stream together, so under load one write
// carries many broadcasts.
func (s *shard) run(dropped *stats.ThrottledCounter) {
	defer s.serving.Wait()
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
		small := batch[:0] // deliveries that run makes itself
		for _, d := range batch {
			served := s.handOver(d, dropped)
			if served {
				continue
			}
			if len(d.stream.batch) == 0 {
				order = append(order, d.stream)
			}
			d.stream.batch = append(d.stream.batch, d.payload)
			small = append(small, d)
		}
		s.deliver(order, small, dropped)
		clear(order)
		clear(batch)
	}
}

// deliver delivers the batch of each stream. deliveries are the same broadcasts in order
// of arrival.
func (s *shard) deliver(streams []*stream, deliveries []delivery, dropped *stats.ThrottledCounter) {
	if len(deliveries) == 0 {
		return
	}
	frames, invalid, bytes := 0, 0, 0
	now := deliveries[len(deliveries)-1].arrived
	for _, stream := range streams {
		f, i := stream.deliver(now, dropped)
		frames += f
		invalid += i
		stream.delivered = time.Since(s.started)
	}
	for _, d := range deliveries {
		bytes += len(d.payload)
	}
	s.count(deliveries, frames, invalid)
	q := &s.queue
	q.Lock()
	q.bytes -= bytes
	q.space.Broadcast()
	q.Unlock()
}

// largeStream is how many subscriptions a stream may have before it gets a goroutine of
// its own, so that the shard's other streams do not wait for its writes.
const largeStream = 512

// handOver gives a delivery to the goroutine of a large stream. It returns false if run
// must make the delivery. Only run calls it.
func (s *shard) handOver(d delivery, dropped *stats.ThrottledCounter) bool {
	q := &s.queue
	if d.stream.served.Load() {
		q.Lock()
		served := d.stream.served.Load()
		if served {
			d.stream.waiting = append(d.stream.waiting, d)
		}
		q.Unlock()
		if served {
			return true
		}
	}
	if len(d.stream.batch) > 0 || !d.stream.isLarge() { // run delivers the batch that it has begun
		return false
	}
	d.stream.served.Store(true)
	d.stream.waiting = append(d.stream.waiting, d)
	s.serving.Go(func() { s.serve(d.stream, dropped) })
	return true
}

// serve delivers to one large stream until nothing is waiting.
func (s *shard) serve(to *stream, dropped *stats.ThrottledCounter) {
	q := &s.queue
	for {
		q.Lock()
		batch := to.waiting
		to.waiting = nil
		to.served.Store(len(batch) > 0)
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

func (s *shard) count(batch []delivery, frames, invalid int) {
	s.counts.Lock()
	defer s.counts.Unlock()
	s.counts.Broadcasts += int64(len(batch))
	s.counts.Deliveries += int64(frames)
	s.counts.Invalid += int64(invalid)
	for _, d := range batch {
		s.counts.Latencies.Add(d.stream.delivered - d.arrived)
	}
	s.sampler.add(s, batch)
}

func (s *shard) countSubscribe(took time.Duration) {
	s.counts.Lock()
	defer s.counts.Unlock()
	s.counts.Subscribes.Add(took)
}
