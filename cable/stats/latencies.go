package stats

import "time"

// bounds are the upper bounds of the buckets.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latencies is a histogram of durations. It is plain numbers, so that adding a duration
// costs a few nanoseconds. The caller locks.
type Latencies struct {
	Sum    time.Duration
	counts [len(bounds) + 1]uint64 // by bucket; the last one is above all bounds
}

// Add counts one duration.
func (l *Latencies) Add(took time.Duration) {
	i := 0
	for i < len(bounds) && took > bounds[i] {
		i++
	}
	l.counts[i]++
	l.Sum += took
}

// AddAll adds the durations that other has counted.
func (l *Latencies) AddAll(other *Latencies) {
	for i, n := range other.counts {
		l.counts[i] += n
	}
	l.Sum += other.Sum
}

// Buckets returns how many durations are at most each bound, in seconds, and how many
// there are in all.
func (l *Latencies) Buckets() (upTo map[float64]uint64, all uint64) {
	upTo = make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		all += l.counts[i]
		upTo[bound.Seconds()] = all
	}
	return upTo, all + l.counts[len(bounds)]
}
