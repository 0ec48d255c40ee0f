package hub

import "time"

// Delivery is one broadcast that has been delivered.
type Delivery struct {
	Stream  string
	Bytes   int // of the payload
	Members int // subscriptions to the stream
	Arrived time.Time
	Took    time.Duration // until the last write
}

// sample tells of one broadcast in so many.
type sample struct {
	oneIn int // 0: none
	tell  func(Delivery)
	since int // broadcasts since the last that was told of
}

func (s *sample) take(shard *shard, batch []delivery) {
	if s.oneIn == 0 {
		return
	}
	s.since += len(batch)
	if s.since < s.oneIn {
		return
	}
	s.since = 0
	d := batch[len(batch)-1]
	d.stream.mu.Lock()
	members := d.stream.subscriptions
	d.stream.mu.Unlock()
	if members > 0 { // else it is one of our own
		s.tell(Delivery{
			Stream: d.stream.name, Bytes: len(d.payload), Members: members,
			Arrived: shard.started.Add(d.arrived), Took: d.stream.delivered - d.arrived,
		})
	}
}

// Sample has tell told of one broadcast in so many. It comes before Run; tell
// must not block.
func (h *Hub) Sample(oneIn int, tell func(Delivery)) {
	for i := range h.shards {
		h.shards[i].sample = sample{oneIn: oneIn, tell: tell}
	}
}
