package metrics

import (
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Recorder returns the recorder behind the status page of this node.
func (m *Meters) Recorder(node, version string, ready Readiness, warnings func() []string) *status.Recorder {
	return status.NewRecorder(status.Options{
		Node: node, Version: version,
		Look: func() status.Totals {
			totals := m.look(ready)
			totals.Warnings = warnings()
			return totals
		},
		Streams: func(n int) (found hub.StreamsByTraffic) {
			if hub := m.Hub(); hub != nil {
				found = hub.StreamsByTraffic(n)
			}
			return found
		},
	})
}

// look reads the current numbers, the same as those of /metrics.
func (m *Meters) look(ready Readiness) status.Totals {
	totals := status.Totals{At: time.Now(), Calls: callsByKind(m.calls), Memory: memoryNow(), CPU: processorTime()}
	if err := ready.Check(); err != nil {
		totals.NotReady = err.Error()
	}
	count, duration, lasting := m.gaps.Total()
	totals.Gaps = status.Gaps{Count: count, Seconds: duration.Seconds(), Lasting: lasting}
	if c := m.running.Load(); c != nil {
		totals.Server, totals.Hub = c.server.Stats(), c.hub.Stats()
		totals.InFlight, totals.Waiting = c.backend.Load()
		totals.Transport, totals.Processes = c.backend.Transport(), c.backend.Processes()
		totals.Workers = workersOf(c.backend, totals.Processes)
		lease := c.lease.Stats()
		totals.Nodes = status.Nodes{Known: lease.Held, Others: lease.Others}
	}
	return totals
}

// workersOf returns how many calls Rails runs at once. Over POST, that is how many catenary makes.
func workersOf(backend *rpc.Client, processes []rpc.ProcessStats) (workers int) {
	if len(processes) == 0 {
		return backend.Limit()
	}
	for _, p := range processes {
		if !p.Stopping {
			workers += p.Workers
		}
	}
	return workers
}

// callsByKind reads durations and failures from the metrics of calls to Rails.
func callsByKind(histograms *prometheus.HistogramVec) map[string]status.Calls {
	found := make(chan prometheus.Metric)
	go func() { histograms.Collect(found); close(found) }()
	byKind := map[string]status.Calls{}
	for metric := range found {
		var read dto.Metric
		if metric.Write(&read) != nil {
			continue
		}
		upTo := map[float64]uint64{}
		for _, bucket := range read.Histogram.Bucket {
			upTo[bucket.GetUpperBound()] = bucket.GetCumulativeCount()
		}
		var do, outcome string
		for _, label := range read.Label {
			switch label.GetName() {
			case "do":
				do = label.GetValue()
			case "outcome":
				outcome = label.GetValue()
			}
		}
		calls := byKind[do]
		calls.Took = calls.Took.Plus(status.NewHistogram(upTo, read.Histogram.GetSampleCount()))
		if outcome != rpc.Answered && outcome != rpc.NeedsState {
			calls.Failed += read.Histogram.GetSampleCount()
		}
		byKind[do] = calls
	}
	return byKind
}

func memoryNow() status.Memory {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"}, {Name: "/sched/goroutines:goroutines"},
	}
	metrics.Read(samples)
	return status.Memory{
		Heap:       samples[0].Value.Uint64(),
		Held:       samples[1].Value.Uint64() - samples[2].Value.Uint64(),
		Goroutines: samples[3].Value.Uint64(),
	}
}

func processorTime() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
