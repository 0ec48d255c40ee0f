package hub

import (
	"cmp"
	"slices"
	"time"
)

// trafficSpan is the time over which a stream's rate is averaged.
const trafficSpan = 10 * time.Second

// traffic counts a stream's deliveries in the current span and the one before. That is
// enough for a rate at any time, without a timer. Times count from the shard's start.
// The stream's mu guards it.
type traffic struct {
	span              time.Duration // number of the current span
	current, previous int64         // deliveries in these spans, callbacks included

	deliveries, broadcasts int64 // since the stream's first member
}

func (t *traffic) add(now time.Duration, broadcasts, deliveries int) {
	t.advance(now)
	t.current += int64(deliveries)
	t.deliveries += int64(deliveries)
	t.broadcasts += int64(broadcasts)
}

// advance begins a new span if the current one is over.
func (t *traffic) advance(now time.Duration) {
	span := now / trafficSpan
	switch {
	case span <= t.span: // now may be a time of arrival, which lags
		return
	case span == t.span+1:
		t.previous = t.current
	default:
		t.previous = 0
	}
	t.span = span
	t.current = 0
}

// rate is deliveries per second over the last trafficSpan: those of the current span and
// a proportional part of the previous one.
func (t *traffic) rate(now time.Duration) float64 {
	t.advance(now)
	passed := float64(now-t.span*trafficSpan) / float64(trafficSpan)
	share := 1 - min(max(passed, 0), 1)
	return (float64(t.current) + float64(t.previous)*share) / trafficSpan.Seconds()
}

// StreamStats are one stream's numbers.
type StreamStats struct {
	Name       string  // any text of any length: the app chooses it
	Members    int     // subscriptions
	Broadcasts int64   // since its first member
	Deliveries int64   // since its first member
	Rate       float64 // deliveries per second
}

// StreamsByTraffic are the app's streams that stand out.
type StreamsByTraffic struct {
	All     int           // how many streams the app has
	Busiest []StreamStats // by rate, then by deliveries
	Largest []StreamStats // by members
}

// StreamsByTraffic returns the first n streams of each order. It looks at every stream,
// which costs less than a microsecond each.
func (h *Hub) StreamsByTraffic(n int) (found StreamsByTraffic) {
	busiest := func(a, b StreamStats) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(b.Deliveries, a.Deliveries), cmp.Compare(a.Name, b.Name))
	}
	largest := func(a, b StreamStats) int {
		return cmp.Or(cmp.Compare(b.Members, a.Members), cmp.Compare(a.Name, b.Name))
	}
	var streams []*stream
	for i := range h.shards {
		shard := &h.shards[i]
		streams = streams[:0]
		shard.mu.Lock()
		for _, s := range shard.streams {
			streams = append(streams, s)
		}
		shard.mu.Unlock()
		now := time.Since(shard.started)
		for _, s := range streams {
			stats := s.stats(now)
			if stats.Members == 0 { // one of catenary's own
				continue
			}
			found.All++
			found.Busiest = insert(found.Busiest, n, stats, busiest)
			found.Largest = insert(found.Largest, n, stats, largest)
		}
	}
	return found
}

func (s *stream) stats(now time.Duration) StreamStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return StreamStats{s.name, s.subscriptions, s.traffic.broadcasts, s.traffic.deliveries, s.traffic.rate(now)}
}

// insert adds s to the first n of an order, if it is one of them.
func insert(first []StreamStats, n int, s StreamStats, order func(a, b StreamStats) int) []StreamStats {
	if len(first) == n && (n == 0 || order(s, first[n-1]) >= 0) {
		return first
	}
	at, _ := slices.BinarySearchFunc(first, s, order)
	first = slices.Insert(first, at, s)
	return first[:min(len(first), n)]
}
