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

// sampler reports one broadcast in oneIn.
type sampler struct {
	oneIn  int // 0: none
	report func(Delivery)
	since  int // broadcasts since the last report
}

// add counts the broadcasts of a batch, and reports its last one when oneIn have been counted.
func (s *sampler) add(shard *shard, batch []delivery) {
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
	if members > 0 { // otherwise it is one of catenary's own streams
		s.report(Delivery{
			Stream: d.stream.name, Bytes: len(d.payload), Members: members,
			Arrived: shard.started.Add(d.arrived), Took: d.stream.delivered - d.arrived,
		})
	}
}

// Sample has each shard report one broadcast in oneIn. report must not block. Call Sample
// before Run.
func (h *Hub) Sample(oneIn int, report func(Delivery)) {
	for i := range h.shards {
		h.shards[i].sampler = sampler{oneIn: oneIn, report: report}
	}
}
