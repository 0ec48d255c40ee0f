package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/socket/descriptor"
	"github.com/catenary-cable/catenary/cmd/catenary/broadcasts"
	"github.com/catenary-cable/catenary/cmd/catenary/child"
	"github.com/catenary-cable/catenary/cmd/catenary/front"
	"github.com/catenary-cable/catenary/cmd/catenary/memory"
	"github.com/catenary-cable/catenary/cmd/catenary/metrics"
	"github.com/catenary-cable/catenary/cmd/catenary/rails"
	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"github.com/catenary-cable/catenary/cmd/catenary/tracing"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
	"golang.org/x/sync/errgroup"
)

// assembly holds all parts of a running catenary; nothing else sees all of them. Its methods are in
// the order in which serve calls them: listen, start, open, stop (serve.go), close.
type assembly struct {
	cfg     *config.Config                // owned by serve
	current atomic.Pointer[config.Config] // the same, for other goroutines
	environ []string
	log     *slog.Logger

	running context.Context // done when a part has failed, or after stop
	cancel  context.CancelCauseFunc
	parts   *errgroup.Group

	// set by listen
	edge    admission.Options
	sockets *sockets
	front   *front.Front
	tracer  *tracing.Tracer // nil: tracing is off

	comparison comparison

	// set by start
	command string // the program that starts Rails, without arguments; "": none
	rails   *rails.State
	ready   *readiness
	meters  *metrics.Meters
	gaps    broadcasts.Gaps
	backend *rpc.Client
	service *service

	// set by open
	source broadcasts.Source
	hub    *hub.Hub
	bound  atomic.Pointer[memory.Bound] // nil: no limit, or not open yet
	server *cable.Server
}

func newAssembly(ctx context.Context, cfg *config.Config, environ []string, stderr io.Writer) *assembly {
	a := &assembly{cfg: cfg, environ: environ, log: newLogger(cfg.Log, stderr)}
	for _, warning := range cfg.Warnings {
		a.log.Warn("configuration", "warning", warning)
	}
	stopping, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	a.cancel = cancel
	a.parts, a.running = errgroup.WithContext(stopping)
	return a
}

// run starts a part, which ends with a.running. Its error stops catenary.
func (a *assembly) run(part func(context.Context) error) {
	a.parts.Go(func() error { return part(a.running) })
}

// background starts a part that cannot fail.
func (a *assembly) background(part func(context.Context)) {
	a.parts.Go(func() error {
		part(a.running)
		return nil
	})
}

// listen opens the listeners. It comes first, so that a port in use fails before Rails boots.
func (a *assembly) listen(ctx context.Context) (err error) {
	if a.edge, err = newEdge(a.cfg, a.log); err != nil {
		return err
	}
	if a.sockets, err = openSockets(a.cfg); err != nil {
		return err
	}
	listener, err := front.Secure(a.sockets.browsers, a.cfg.TLS, a.log)
	if err != nil {
		return err
	}
	a.front = front.New(listener, a.sockets.lent, a.cfg.Proxy, a.cfg.Limits, a.log)
	a.tracer, err = newTracer(ctx, a.cfg.Telemetry, a.environ, a.log)
	return err
}

// start starts the command, if there is one, and everything that must answer before Rails does.
func (a *assembly) start(command []string, stderr io.Writer) error {
	a.current.Store(a.cfg)
	if len(command) > 0 {
		a.command = command[0] // without its arguments, which may contain secrets
		process, err := child.New(child.Options{
			Command: command, Config: a.cfg, Environ: a.environ,
			Output: stderr, HideAddress: onTerminal(stderr), Log: a.log,
		})
		if err != nil {
			return err
		}
		a.run(process.Run)
	}
	a.rails = rails.New(a.cfg, a.command != "", a.log)
	a.ready = &readiness{rails: a.rails, unread: a.cfg.Unread}
	revision, golang := built()
	a.meters = metrics.New(a.ready, &a.gaps, version, revision, golang)
	var err error
	if a.backend, err = newBackend(a.cfg, a.meters.Called, a.tracer, a.log); err != nil {
		return err
	}
	a.rails.AskOver(a.backend)
	a.service = &service{log: a.log, ready: a.ready, alive: a.meters.Gather}
	a.serveOperations()
	if a.cfg.Proxy { // pages do not wait for the gem's settings
		if err := a.route(http.HandlerFunc(front.Starting), nil, nil); err != nil {
			return err
		}
	}
	a.run(a.front.Serve)
	a.run(a.service.run)
	return nil
}

func (a *assembly) serveOperations() {
	var recorder *status.Recorder
	if a.sockets.operations != nil && a.cfg.Operations.Status {
		recorder = a.meters.Recorder(node(), version, a.ready, a.warnings)
		a.background(recorder.Run)
	}
	pprof := a.cfg.Operations.Pprof // read here: serve replaces a.cfg when Rails has reported its settings
	a.run(func(ctx context.Context) error {
		return serveOperations(ctx, a.sockets.operations, pprof, a.ready, a.meters.Handler(), recorder,
			a.serveAbout, a.serveDisconnect)
	})
}

// startBroadcasts starts the source of broadcasts and the hub. history may be nil.
func (a *assembly) startBroadcasts(history *history.History) (err error) {
	cfg := a.cfg
	if a.source, err = newSource(cfg, a.backend, &a.gaps, a.log); err != nil {
		return err
	}
	if cfg.Broadcasts.Probe && !cfg.PassesAll() {
		explain := func() string { return a.rails.MissingBroadcasts(cfg) }
		probe := broadcasts.NewProbe(a.source, cfg.Broadcasts.Adapter, node(), a.backend, explain, a.log)
		a.source = probe
		a.background(probe.Attend)
	}
	a.hub = hub.New(a.source, a.log)
	if history != nil {
		a.hub.ExpectNumbers(history.Keeps)
	}
	if a.tracer != nil {
		a.hub.Sample(cfg.Telemetry.BroadcastsOneIn, a.tracer.Broadcast)
	}
	a.hub.OnBroadcast(func(bytes int) {
		if bound := a.bound.Load(); bound != nil {
			bound.Broadcast(bytes)
		}
	})
	a.run(a.hub.Run)
	return nil
}

// route sends the cable's paths to cable, and other requests to Rails where catenary is its proxy.
func (a *assembly) route(cable http.Handler, admission *admission.Admission, poller *descriptor.Poller) error {
	router, err := front.Routes(a.cfg, cable, a.edge.Proxies, a.log, a.front.ErrorLog())
	if err != nil {
		return err
	}
	a.front.Open(router, admission, poller)
	return nil
}

// open starts the server, and opens the front to browsers.
func (a *assembly) open() error {
	cfg := a.cfg
	a.current.Store(cfg)
	history, err := newHistory(cfg)
	if err != nil {
		return err
	}
	if err := a.startBroadcasts(history); err != nil {
		return err
	}
	passThrough, err := newRelay(cfg, a.edge.Proxies)
	if err != nil {
		return err
	}
	lease, err := newLease(cfg, a.backend.Secret(), a.log)
	if err != nil {
		return err
	}
	a.edge.Limits = admissionLimits(cfg)
	admission := admission.New(a.edge)
	a.server, err = cable.NewServer(cable.Options{
		Backend: a.backend, Hub: a.hub, Node: node(), Admission: admission, History: history, Relay: passThrough, Lease: lease,
		Limits: limits(cfg), Restart: restart(cfg), Ping: cfg.Ping.Interval, Compress: cfg.Compression,
		SkipDisconnectFrames: !cfg.DisconnectFrames, Secret: a.backend.Secret(), Publish: a.source.Publish,
		HandshakeDone: a.meters.Handshake, Log: a.log,
	})
	if err != nil {
		return err
	}
	a.rails.ConsultWith(rails.Fits(cfg, a.backend), rails.Identifying(cfg.JWT.Identify, admission, a.log),
		rails.Verifying(cfg.Turbo, a.server, a.log),
		rails.CatchingUp(cfg.Turbo, a.server, a.backend.Secret, a.log), rails.Keeping(history, a.log))
	a.gaps.Around(a.server.GapBegan, func(began time.Time) {
		a.server.GapEnded(began)
		go a.server.CatchUpAfterGap()
	})
	a.background(memory.Release)
	goMemLimit := variable(a.environ, "GOMEMLIMIT")
	bound := memory.NewBound(cfg.Limits.Memory, a.command != "", goMemLimit, a.server, a.log)
	if bound.Limited() {
		a.bound.Store(bound)
		a.background(bound.Run)
	}
	a.run(a.server.Run)
	a.run(history.Run)
	a.run(func(ctx context.Context) error { return lease.Run(ctx, a.server) })
	if a.edge.Tokens != nil {
		a.run(a.edge.Tokens.Run)
	}
	a.background(func(ctx context.Context) { a.rails.Watch(ctx, cfg) })
	a.meters.Open(a.server, a.hub, a.backend, lease)
	if err := a.route(traced(a.tracer, a.server), admission, a.server.Poller()); err != nil {
		return err
	}
	a.ready.open(a.source)
	backend := cfg.Backend.URL
	if a.command != "" {
		backend = "its own Rails"
	}
	a.log.Info("catenary is listening", "address", a.front.Addr().String(), "paths", strings.Join(cfg.Paths, " "),
		"backend", backend, "broadcasts", cfg.Broadcasts.Adapter, "operations", cfg.Operations.Listen)
	return nil
}

// close releases everything, whatever has been started.
func (a *assembly) close() {
	if a.front != nil {
		a.front.Close()
	}
	if a.backend != nil {
		a.backend.Close()
	}
	a.cancel(nil)
	a.parts.Wait()
	if a.tracer != nil {
		a.tracer.Close(context.WithoutCancel(a.running))
	}
	if a.sockets != nil {
		a.sockets.close()
	}
}

// node returns the name of this process among the nodes. It is a new one at each start: connections
// do not outlive the process either.
var node = sync.OnceValue(func() string {
	var random [4]byte
	rand.Read(random[:])
	return "n-" + hex.EncodeToString(random[:])
})
