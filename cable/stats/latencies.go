package stats

import "time"

// bounds are the upper bounds of the buckets in which latencies are counted.
var bounds = [...]time.Duration{
	100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

// Latencies is a histogram of durations. It is plain numbers: adding one costs
// a few nanoseconds, so that none has to be left out. Callers do the locking.
type Latencies struct {
	Sum    time.Duration
	counts [len(bounds) + 1]uint64 // the last bucket is for those longer than all bounds
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

// Buckets returns how many durations were at most as long as each bound, in
// seconds, and how many there are.
func (l *Latencies) Buckets() (upTo map[float64]uint64, all uint64) {
	upTo = make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		all += l.counts[i]
		upTo[bound.Seconds()] = all
	}
	return upTo, all + l.counts[len(bounds)]
}
