package status

import (
	"context"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cable/hub"
)

const (
	kept     = 600              // points, one a second
	often    = 10 * time.Second // between the totals that are kept
	lately   = 7                // of these: the first is a minute old
	topmost  = 10               // streams in each order
	watchers = 16               // at once
)

// Options are what a Recorder needs.
type Options struct {
	Node, Version string
	Look          func() Totals
	Streams       func(n int) hub.StreamsByTraffic // asked only while somebody watches
}

// Recorder remembers what has happened lately.
type Recorder struct {
	options Options
	started time.Time

	mu       sync.Mutex
	points   []Point  // the last are the latest
	last     Totals   // of the last point
	past     []Totals // one in ten seconds, the latest at the end
	watching map[chan<- []byte]struct{}
}

// NewRecorder makes a recorder; Run makes it work.
func NewRecorder(o Options) *Recorder {
	return &Recorder{options: o, started: time.Now(), watching: map[chan<- []byte]struct{}{}}
}

// Run takes a point a second until ctx ends.
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
		r.show()
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
	if len(r.points) == kept {
		r.points = append(r.points[:0], r.points[1:]...)
	}
	r.points = append(r.points, point(now, r.last, recent))
	r.last = now
	if now.At.Sub(r.past[len(r.past)-1].At) >= often {
		if len(r.past) == lately {
			r.past = append(r.past[:0], r.past[1:]...)
		}
		r.past = append(r.past, now)
	}
}

func point(now, last, recent Totals) Point {
	seconds := now.At.Sub(last.At).Seconds()
	pace := func(now, last int64) float64 {
		if seconds <= 0 {
			return 0
		}
		return float64(now-last) / seconds
	}
	return Point{
		At: now.At.UnixMilli(), Connections: now.Server.Connections, Subscriptions: now.Server.Subscriptions,
		Opened:     pace(now.Server.Opened, last.Server.Opened),
		Ended:      pace(sum(now.Server.Ends), sum(last.Server.Ends)),
		Rejected:   pace(sum(now.Server.Rejected)+now.Server.RejectedByRails, sum(last.Server.Rejected)+last.Server.RejectedByRails),
		Commands:   pace(now.commands(), last.commands()),
		Broadcasts: pace(now.Hub.Broadcasts, last.Hub.Broadcasts), Deliveries: pace(now.Hub.Deliveries, last.Hub.Deliveries),
		BroadcastTime: broadcasts(&now).since(broadcasts(&recent)).milliseconds(.95),
		CallTime:      calls(&now).since(calls(&recent)).milliseconds(.95),
		InFlight:      now.InFlight, Workers: now.Workers, Waiting: now.Waiting, Memory: now.Memory.Held,
		CPU: pace(int64(now.CPU), int64(last.CPU)) / float64(time.Second),
	}
}

func broadcasts(t *Totals) Histogram { return NewHistogram(t.Hub.Latencies.Buckets()) }

// calls are those of browsers: what catenary asks for itself is left out.
func calls(t *Totals) (all Histogram) {
	for do, calls := range t.Calls {
		if do != "settings" {
			all = all.Plus(calls.Took)
		}
	}
	return all
}
