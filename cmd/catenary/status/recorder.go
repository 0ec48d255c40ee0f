package status

import (
	"context"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/hub"
)

const (
	maxPoints   = 600              // one each second
	pastEvery   = 10 * time.Second // between the totals that are kept
	maxPast     = 7                // of these: the oldest is a minute old
	maxStreams  = 10               // in each list of streams
	maxWatchers = 16
)

// Options are what a Recorder needs.
type Options struct {
	Node, Version string
	Look          func() Totals                    // called once a second
	Streams       func(n int) hub.StreamsByTraffic // called only for a Status
}

// Recorder keeps the last ten minutes.
type Recorder struct {
	options Options
	started time.Time

	mu       sync.Mutex
	points   []Point  // oldest first
	last     Totals   // of the last point
	past     []Totals // one every ten seconds, oldest first
	watching map[chan<- []byte]struct{}
}

// NewRecorder returns a recorder, which Run starts.
func NewRecorder(o Options) *Recorder {
	return &Recorder{options: o, started: time.Now(), watching: map[chan<- []byte]struct{}{}}
}

// Run records a point each second until ctx is done.
func (r *Recorder) Run(ctx context.Context) {
	r.record(r.options.Look())
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		r.record(r.options.Look())
		r.send()
	}
}

func (r *Recorder) record(now Totals) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.past) == 0 {
		r.last = now
		r.past = append(r.past, now)
	}
	recent := r.past[max(0, len(r.past)-2)] // ten to twenty seconds ago
	if len(r.points) == maxPoints {
		r.points = append(r.points[:0], r.points[1:]...)
	}
	r.points = append(r.points, point(now, r.last, recent))
	r.last = now
	if now.At.Sub(r.past[len(r.past)-1].At) >= pastEvery {
		if len(r.past) == maxPast {
			r.past = append(r.past[:0], r.past[1:]...)
		}
		r.past = append(r.past, now)
	}
}

// point computes rates since last, and times since recent.
func point(now, last, recent Totals) Point {
	seconds := now.At.Sub(last.At).Seconds()
	rate := func(now, last int64) float64 {
		if seconds <= 0 {
			return 0
		}
		return float64(now-last) / seconds
	}
	return Point{
		At: now.At.UnixMilli(), Connections: now.Server.Connections, Users: now.Hub.Users, Subscriptions: now.Server.Subscriptions,
		Opened:        rate(now.Server.Opened, last.Server.Opened),
		Ended:         rate(sum(now.Server.Ends), sum(last.Server.Ends)),
		Rejected:      rate(now.rejected(), last.rejected()),
		Commands:      rate(now.commands(), last.commands()),
		Broadcasts:    rate(now.Hub.Broadcasts, last.Hub.Broadcasts),
		Deliveries:    rate(now.Hub.Deliveries, last.Hub.Deliveries),
		BroadcastTime: broadcasts(&now).since(broadcasts(&recent)).milliseconds(.95),
		CallTime:      calls(&now).since(calls(&recent)).milliseconds(.95),
		InFlight:      now.InFlight, Workers: now.Workers, Waiting: now.Waiting, Memory: now.Memory.Held,
		CPU: rate(int64(now.CPU), int64(last.CPU)) / float64(time.Second),
	}
}

func broadcasts(t *Totals) Histogram { return NewHistogram(t.Hub.Latencies.Buckets()) }

// calls are those for browsers, without the requests for settings.
func calls(t *Totals) (all Histogram) {
	for do, calls := range t.Calls {
		if do != "settings" {
			all = all.Plus(calls.Took)
		}
	}
	return all
}
