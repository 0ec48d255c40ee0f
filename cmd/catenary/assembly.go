package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"github.com/catenary-cable/catenary/cmd/catenary/tracing"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
	"golang.org/x/sync/errgroup"
)

// An assembly is all that runs here: only it sees everything. Its methods follow
// each other in the order in which the parts come up and go: listen, start, open,
// stop.
type assembly struct {
	cfg     *config.Config
	settled atomic.Pointer[config.Config] // cfg, for others than the one who sets it
	environ []string
	log     *slog.Logger

	running context.Context // ends when a part has failed, or after stop
	cancel  context.CancelCauseFunc
	parts   *errgroup.Group

	// from listen on
	edge    admission.Options
	sockets *sockets
	front   *front
	tracer  *tracing.Tracer // nil: nothing is traced

	compared comparison

	// from start on
	child   bool   // there is a command
	command string // its program
	rails   *railsState
	ready   *readiness
	meters  *meters
	backend *rpc.Client
	service *service

	// as soon as it is known where broadcasts are published
	source source
	hub    *hub.Hub
	bound  atomic.Pointer[memoryBound] // nil: none, or not yet

	// from open on
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

// run has a part run until running ends.
func (a *assembly) run(part func(context.Context) error) {
	a.parts.Go(func() error { return part(a.running) })
}

// attend is run for what cannot fail.
func (a *assembly) attend(part func(context.Context)) {
	a.parts.Go(func() error {
		part(a.running)
		return nil
	})
}

// listen takes the sockets. It comes first: a port that is not ours to have
// should not cost a Rails boot.
func (a *assembly) listen(ctx context.Context) (err error) {
	if a.edge, err = newEdge(a.cfg, a.log); err != nil {
		return err
	}
	if a.sockets, err = openSockets(a.cfg); err != nil {
		return err
	}
	listener, err := secure(a.sockets.browsers, a.cfg.TLS, a.log)
	if err != nil {
		return err
	}
	a.front = newFront(listener, a.sockets.lent, a.cfg.Proxy, a.cfg.Limits, a.log)
	a.tracer, err = newTracer(ctx, a.cfg.Telemetry, a.environ, a.log)
	return err
}

// start starts the command, if there is one, and what answers while we wait for
// Rails.
func (a *assembly) start(command []string, stderr io.Writer) error {
	a.child = len(command) > 0
	if a.child {
		a.command = command[0] // the rest may hold secrets
	}
	a.settled.Store(a.cfg)
	if a.child {
		child, err := newChild(command, a.cfg, a.environ, stderr, a.log)
		if err != nil {
			return err
		}
		a.run(child.run)
	}
	a.rails = &railsState{log: a.log, probe: probeOf(a.cfg)}
	if !a.child {
		a.rails.cfg = a.cfg
	}
	a.ready = &readiness{rails: a.rails, unread: a.cfg.Unread}
	a.meters = newMeters(a.ready)
	var err error
	if a.backend, err = newBackend(a.cfg, a.meters.called, a.tracer, a.log); err != nil {
		return err
	}
	a.rails.backend = a.backend
	a.service = &service{log: a.log, ready: a.ready, alive: a.meters.gather}
	var recorder *status.Recorder
	if a.sockets.operations != nil && a.cfg.Operations.Status {
		recorder = newRecorder(a.meters, a.ready, a.warnings)
		a.attend(recorder.Run)
	}
	profiles := a.cfg.Operations.Pprof // cfg is another one once Rails has told the rest
	a.run(func(ctx context.Context) error {
		return serveOperations(ctx, a.sockets.operations, profiles, a.ready, a.meters.handler(), recorder, a.serveAbout, a.serveDisconnect)
	})
	if a.cfg.Proxy { // pages need not wait for what the gem says
		if err := a.serve(http.HandlerFunc(waits), nil); err != nil {
			return err
		}
	}
	a.run(a.front.serve)
	a.run(a.service.run)
	return nil
}

// hear begins to listen to broadcasts, if that has not begun yet.
func (a *assembly) hear() (err error) {
	if a.source != nil {
		return nil
	}
	cfg := a.cfg
	if a.source, err = sourceFor(cfg, a.backend, &a.meters.gaps, a.log); err != nil {
		return err
	}
	if cfg.Broadcasts.Probe && !cfg.PassesAll() {
		probe := newBroadcastProbe(a.source, cfg.Broadcasts.Adapter, a.backend, func() string { return a.rails.whyDeaf(cfg) }, a.log)
		a.source = probe
		a.attend(probe.attend)
	}
	a.hub = hub.New(a.source, a.log)
	if a.tracer != nil {
		a.hub.Sample(cfg.Telemetry.BroadcastsOneIn, a.tracer.Broadcast)
	}
	a.hub.OnBroadcast(func(bytes int) {
		if bound := a.bound.Load(); bound != nil {
			bound.take(bytes)
		}
	})
	a.run(a.hub.Run)
	return nil
}

// serve has the front send browsers to the cable, and pages to Rails.
func (a *assembly) serve(cable http.Handler, admission *admission.Admission) error {
	handler, err := routes(a.cfg, cable, a.edge.Proxies, a.log, a.front.server.ErrorLog)
	if err == nil {
		a.front.open(handler, admission)
	}
	return err
}

// open lets browsers in, and Redis' broadcasts out to them.
func (a *assembly) open() error {
	cfg := a.cfg
	a.settled.Store(cfg)
	if err := a.hear(); err != nil {
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
		Backend: a.backend, Hub: a.hub, Node: node(), Limits: limits(cfg), Restart: restart(cfg), Ping: cfg.Ping.Interval, Log: a.log, Secret: a.backend.Secret(),
		Admission: admission, Compress: cfg.Compression, SkipDisconnectFrames: !cfg.DisconnectFrames, Relay: passThrough, HandshakeDone: a.meters.handshake, Lease: lease,
		Publish: a.source.Publish,
	})
	if err != nil {
		return err
	}
	a.rails.tell(fits(cfg, a.backend), identifying(cfg.JWT.Identify, admission, a.log), verifying(cfg.Turbo, a.server, a.log))
	a.attend(func(ctx context.Context) { giveBackMemory(ctx, variable(a.environ, "GOGC")) })
	bound := newMemoryBound(cfg.Limits.Memory, a.child, variable(a.environ, "GOMEMLIMIT"), a.server, a.log)
	if bound.bytes > 0 {
		a.bound.Store(bound)
		a.attend(bound.run)
	}
	a.run(a.server.Run)
	a.run(func(ctx context.Context) error { return lease.Run(ctx, a.server) })
	if a.edge.Tokens != nil {
		a.run(a.edge.Tokens.Run)
	}
	a.attend(func(ctx context.Context) { a.rails.watch(ctx, cfg) })
	a.meters.open(a.server, a.hub, a.backend, lease)
	if err := a.serve(traced(a.tracer, a.server), admission); err != nil {
		return err
	}
	a.ready.open(a.source)
	backend := cfg.Backend.URL
	if a.child {
		backend = "its own Rails"
	}
	a.log.Info("catenary listens", "address", a.front.listener.Addr().String(), "paths", strings.Join(cfg.Paths, " "),
		"backend", backend, "broadcasts", cfg.Broadcasts.Adapter, "operations", cfg.Operations.Listen)
	return nil
}

// close ends what there is, in whatever state.
func (a *assembly) close() {
	if a.front != nil {
		a.front.close()
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
