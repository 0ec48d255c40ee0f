package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// meters are the metrics that /metrics serves; docs/metrics.md lists them. No label's value comes
// from a browser, and of what Rails sends only the names of up to a hundred channels, so the number
// of series is bounded and none contains a secret.
type meters struct {
	registry   *prometheus.Registry
	calls      *prometheus.HistogramVec
	waits      *prometheus.HistogramVec
	handshakes *prometheus.HistogramVec
	gaps       gaps
	running    atomic.Pointer[collector] // nil until the server runs
}

func newMeters(ready *readiness) *meters {
	m := &meters{
		registry:   prometheus.NewRegistry(),
		calls:      histogram("catenary_call_seconds", "Seconds that calls to Rails took, without waiting, by kind and outcome.", "do", "outcome"),
		waits:      histogram("catenary_call_wait_seconds", "Seconds that calls to Rails waited for a worker, by kind.", "do"),
		handshakes: histogram("catenary_handshake_seconds", "Seconds from the call to Rails about a handshake to the response to the browser, by outcome.", "outcome"),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.calls, m.waits, m.handshakes, &m.gaps, ready, buildInfo(),
	)
	return m
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// open adds the metrics of the server and the hub, which exist only when Rails has reported where
// broadcasts are published.
func (m *meters) open(server *cable.Server, hub *hub.Hub, backend *rpc.Client, lease *lease.Lease) {
	c := newCollector(server, hub, backend, lease)
	m.running.Store(c)
	m.registry.MustRegister(c)
}

// gather reads every metric, which takes every lock: it returns only if no part hangs.
func (m *meters) gather() { m.registry.Gather() }

func (m *meters) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// called records a call to Rails.
func (m *meters) called(o rpc.Observation) {
	m.calls.WithLabelValues(o.Do, o.Outcome).Observe(o.Took.Seconds())
	if o.Outcome != rpc.Busy { // it has not waited
		m.waits.WithLabelValues(o.Do).Observe(o.Waited.Seconds())
	}
}

// handshake records a handshake about which Rails was asked.
func (m *meters) handshake(outcome string, took time.Duration) {
	m.handshakes.WithLabelValues(outcome).Observe(took.Seconds())
}

func buildInfo() prometheus.Collector {
	revision, golang := built()
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "catenary_build_info", Help: "1, labelled with version, revision and Go version of this build.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "go": golang},
	}, func() float64 { return 1 })
}

// gaps counts the times in which broadcasts may have been missed.
type gaps struct {
	mu      sync.Mutex
	count   int
	closed  time.Duration
	current time.Time // when the open gap began; zero: there is none
	after   func()    // is called after each gap; may be nil
}

func (g *gaps) lost(error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.count++
	g.current = time.Now()
}

func (g *gaps) restored(gap time.Duration) {
	g.mu.Lock()
	g.closed += gap
	g.current = time.Time{}
	after := g.after
	g.mu.Unlock()
	if after != nil {
		go after()
	}
}

func (g *gaps) afterGap(f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.after = f
}

func (g *gaps) Describe(descriptions chan<- *prometheus.Desc) {
	prometheus.DescribeByCollect(g, descriptions)
}

// total returns the number of gaps and their duration. It includes the open one, if lasting.
func (g *gaps) total() (count int, all time.Duration, lasting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	all = g.closed
	if lasting = !g.current.IsZero(); lasting {
		all += time.Since(g.current)
	}
	return g.count, all, lasting
}

func (g *gaps) Collect(found chan<- prometheus.Metric) {
	count, seconds, _ := g.total()
	found <- counter("catenary_broadcast_gaps_total", "Gaps in which broadcasts may have been missed, because the connection to Redis, or to the Rails process that listened, was lost.", float64(count))
	found <- counter("catenary_broadcast_gap_seconds_total", "Seconds of these gaps, including an open one.", seconds.Seconds())
}
