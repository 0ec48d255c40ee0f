package hub

import (
	"cmp"
	"slices"
	"time"
)

// trafficSpan is the time over which a stream's traffic is told.
const trafficSpan = 10 * time.Second

// traffic counts a stream's deliveries in the span that lasts and in the one
// before it, so that their pace can be told at any time and to anybody, with
// nothing kept for those who ask. Times are the shard's. The stream's mu guards
// it, which a delivery holds anyway.
type traffic struct {
	span             time.Duration // number of the span that lasts
	lasting, before  int64         // deliveries, to a block too
	deliveries, came int64         // since the stream has members; came: broadcasts
}

func (t *traffic) add(now time.Duration, broadcasts, deliveries int) {
	t.turn(now)
	t.lasting += int64(deliveries)
	t.deliveries += int64(deliveries)
	t.came += int64(broadcasts)
}

func (t *traffic) turn(now time.Duration) {
	span := now / trafficSpan
	switch {
	case span <= t.span: // times of arrival may lag
		return
	case span == t.span+1:
		t.before = t.lasting
	default:
		t.before = 0
	}
	t.span, t.lasting = span, 0
}

// pace is deliveries a second: those of the span that lasts, and as much of the
// one before it as makes it whole.
func (t *traffic) pace(now time.Duration) float64 {
	t.turn(now)
	passed := float64(now-t.span*trafficSpan) / float64(trafficSpan)
	return (float64(t.lasting) + float64(t.before)*(1-min(max(passed, 0), 1))) / trafficSpan.Seconds()
}

// StreamStats are one stream's numbers.
type StreamStats struct {
	Name       string // as the app has chosen it: it may be long, and hold anything
	Members    int    // subscriptions
	Broadcasts int64  // since it has members
	Deliveries int64  // the same
	Pace       float64
}

// StreamsByTraffic are the streams of the app that stand out.
type StreamsByTraffic struct {
	All     int           // how many there are
	Busiest []StreamStats // by pace, then by deliveries
	Largest []StreamStats // by members
}

// StreamsByTraffic looks at every stream, and returns the first n of each
// order. It costs less than a microsecond a stream.
func (h *Hub) StreamsByTraffic(n int) (found StreamsByTraffic) {
	busiest := func(a, b StreamStats) int {
		return cmp.Or(cmp.Compare(b.Pace, a.Pace), cmp.Compare(b.Deliveries, a.Deliveries), cmp.Compare(a.Name, b.Name))
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
			if stats.Members == 0 { // one of our own
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
	return StreamStats{s.name, s.subscriptions, s.traffic.came, s.traffic.deliveries, s.traffic.pace(now)}
}

// insert keeps the first n in order.
func insert(first []StreamStats, n int, s StreamStats, order func(a, b StreamStats) int) []StreamStats {
	if len(first) == n && (n == 0 || order(s, first[n-1]) >= 0) {
		return first
	}
	at, _ := slices.BinarySearchFunc(first, s, order)
	first = slices.Insert(first, at, s)
	return first[:min(len(first), n)]
}
