package cable

import "time"

// bounds are those of the buckets in which latencies are counted.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latencies are durations, counted by how long they were. Plain numbers: to add
// one costs a few nanoseconds, so that none need be left out. Who uses them
// guards them.
type Latencies struct {
	Sum    time.Duration
	counts [len(bounds) + 1]uint64 // the last: longer than all bounds
}

func (l *Latencies) add(took time.Duration) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	l.counts[i]++
	l.Sum += took
}

func (l *Latencies) addAll(other *Latencies) {
	for i, n := range other.counts {
		l.counts[i] += n
	}
	l.Sum += other.Sum
}

// Buckets tells how many took at most so many seconds, and how many there are.
func (l *Latencies) Buckets() (upTo map[float64]uint64, all uint64) {
	upTo = make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		all += l.counts[i]
		upTo[bound.Seconds()] = all
	}
	return upTo, all + l.counts[len(bounds)]
}
