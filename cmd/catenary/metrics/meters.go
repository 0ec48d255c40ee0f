package metrics

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Readiness is whether catenary is ready to serve browsers.
type Readiness interface {
	Check() error            // nil: it is
	Parts() map[string]error // by the name of the part: why it is not
}

// Meters are the metrics that /metrics serves; docs/metrics.md lists them. No label's value comes
// from a browser, and of what Rails sends only the names of up to a hundred channels, so the number
// of series is bounded and none contains a secret.
type Meters struct {
	registry   *prometheus.Registry
	calls      *prometheus.HistogramVec
	waits      *prometheus.HistogramVec
	handshakes *prometheus.HistogramVec
	gaps       *broadcasts.Gaps
	running    atomic.Pointer[collector] // nil until the server runs
}

// New returns meters that report gaps and readiness from the start, and the rest once Open has been
// called. version, revision and golang describe this build.
func New(ready Readiness, gaps *broadcasts.Gaps, version, revision, golang string) *Meters {
	m := &Meters{
		gaps:       gaps,
		registry:   prometheus.NewRegistry(),
		calls:      histogram("catenary_call_seconds", "Seconds that calls to Rails took, without waiting, by kind and outcome.", "do", "outcome"),
		waits:      histogram("catenary_call_wait_seconds", "Seconds that calls to Rails waited for a worker, by kind.", "do"),
		handshakes: histogram("catenary_handshake_seconds", "Seconds from the call to Rails about a handshake to the response to the browser, by outcome.", "outcome"),
	}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		m.calls, m.waits, m.handshakes, gapsCollector{gaps}, partsCollector{ready}, buildInfo(version, revision, golang),
	)
	return m
}

func histogram(name, help string, labels ...string) *prometheus.HistogramVec {
	buckets := []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
}

// Open adds the metrics of the server and the hub, which exist only when Rails has reported where
// broadcasts are published.
func (m *Meters) Open(server *cable.Server, hub *hub.Hub, backend *rpc.Client, lease *lease.Lease) {
	c := newCollector(server, hub, backend, lease)
	m.running.Store(c)
	m.registry.MustRegister(c)
}

// Hub returns the hub of the running server, nil before Open.
func (m *Meters) Hub() *hub.Hub {
	if c := m.running.Load(); c != nil {
		return c.hub
	}
	return nil
}

// Gather reads every metric, which takes every lock: it returns only if no part hangs.
func (m *Meters) Gather() { m.registry.Gather() }

// Handler serves /metrics.
func (m *Meters) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

// Called records a call to Rails.
func (m *Meters) Called(o rpc.Observation) {
	m.calls.WithLabelValues(o.Do, o.Outcome).Observe(o.Took.Seconds())
	if o.Outcome != rpc.Busy { // it has not waited
		m.waits.WithLabelValues(o.Do).Observe(o.Waited.Seconds())
	}
}

// Handshake records a handshake about which Rails was asked.
func (m *Meters) Handshake(outcome string, took time.Duration) {
	m.handshakes.WithLabelValues(outcome).Observe(took.Seconds())
}

func buildInfo(version, revision, golang string) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "catenary_build_info", Help: "1, labelled with version, revision and Go version of this build.",
		ConstLabels: prometheus.Labels{"version": version, "revision": revision, "go": golang},
	}, func() float64 { return 1 })
}
