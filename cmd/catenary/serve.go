package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/cmd/catenary/status"
	"github.com/catenary-cable/catenary/cmd/catenary/tracing"
	"github.com/catenary-cable/catenary/config"
	"github.com/catenary-cable/catenary/rpc"
	"golang.org/x/sync/errgroup"
)

// serve runs the server until ctx ends, and then stops it in order: no more
// handshakes; every browser is told; Rails knows of every end; the command
// that we have started; the source of broadcasts last.
func serve(ctx context.Context, input config.Input, command, environ []string, stderr io.Writer) error {
	ctx, ignore := untilHangup(ctx, len(command) > 0)
	defer ignore()
	cfg, unresolved, err := load(input, len(command) > 0)
	if err != nil {
		return err
	}
	log := newLogger(cfg.Log, stderr)
	for _, warning := range cfg.Warnings {
		log.Warn("configuration", "warning", warning)
	}
	edge, err := newEdge(cfg, log)
	if err != nil {
		return err
	}
	shared := cfg.Backend.Secret // by all nodes; for a command that we start there is a fresh one
	// Taken first: a port that is not ours to have should not cost a Rails boot.
	sockets, err := openSockets(cfg)
	defer sockets.close()
	if err != nil {
		return err
	}
	listener, err := secure(sockets.browsers, cfg.TLS, log)
	if err != nil {
		return err
	}

	tracer, err := newTracer(ctx, cfg.Telemetry, environ, log)
	if err != nil {
		return err
	}
	if tracer != nil {
		defer tracer.Close(context.WithoutCancel(ctx))
	}

	stopping, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	group, running := errgroup.WithContext(stopping)
	defer func() { cancel(nil); group.Wait() }() // if we do not come as far as to stop in order

	if len(command) > 0 {
		child, err := newChild(command, cfg, environ, stderr, log)
		if err != nil {
			return err
		}
		group.Go(func() error { return child.run(running) })
	}
	if shared.Missing() {
		shared = cfg.Backend.Secret
	}
	rails := &railsState{log: log, probe: probeOf(cfg)}
	ready := &readiness{rails: rails}
	meters := newMeters(ready)
	backend, err := newBackend(cfg, meters.called, tracer)
	if err != nil {
		return err
	}
	defer backend.Close()
	rails.backend = backend
	front := newFront(listener, sockets.lent, cfg.Limits, log)
	service := &service{log: log, ready: ready, alive: meters.gather}
	profiles := cfg.Operations.Pprof // cfg itself is another one once Rails has told the rest
	var recorder *status.Recorder
	if sockets.operations != nil && cfg.Operations.Status {
		recorder = newRecorder(meters, ready)
		group.Go(func() error { recorder.Run(running); return nil })
	}
	group.Go(func() error {
		return serveOperations(running, sockets.operations, profiles, ready, meters.handler(), recorder, shared.Reveal())
	})
	group.Go(func() error { return front.serve(running) })
	defer front.close()
	group.Go(func() error { return service.run(running) })

	if unresolved != nil {
		if cfg, err = rails.complete(ctx, running, input, cfg, unresolved); ctx.Err() != nil {
			return nil // we need not wait any more
		} else if err != nil {
			return err
		}
	}
	source, err := sourceFor(cfg, &meters.gaps, log)
	if err != nil {
		return err
	}
	passThrough, err := newPassThrough(cfg, edge.Proxies)
	if err != nil {
		return err
	}
	lease, err := newLease(cfg, shared.Reveal(), log)
	if err != nil {
		return err
	}
	hub := cable.NewHub(source, log)
	if tracer != nil {
		hub.Sample(cfg.Telemetry.BroadcastsOneIn, tracer.Broadcast)
	}
	server, err := cable.NewServer(cable.Options{
		Backend: backend, Hub: hub, Node: node(), Mount: cfg.Paths[0], Limits: limits(cfg), Ping: cfg.Ping.Interval, Log: log, Edge: edge, Secret: shared.Reveal(),
		PassThrough: passThrough, HandshakeSettled: meters.handshake, Lease: lease,
	})
	if err != nil {
		return err
	}
	rails.tell(identifying(cfg.JWT.Identify, server, log), verifying(cfg.Turbo, server, log))
	handler, err := routes(cfg, traced(tracer, server), edge.Proxies, front.server.ErrorLog)
	if err != nil {
		return err
	}
	group.Go(func() error { giveBackMemory(running, variable(environ, "GOGC")); return nil })
	bound := newMemoryBound(cfg.Limits.Memory, len(command) > 0, variable(environ, "GOMEMLIMIT"), server, log)
	if bound.bytes > 0 {
		hub.Before(bound.take)
		group.Go(func() error { bound.run(running); return nil })
	}
	group.Go(func() error { return hub.Run(running) })
	group.Go(func() error { return server.Run(running) })
	group.Go(func() error { return lease.Run(running, server) })
	if edge.Tokens != nil {
		group.Go(func() error { return edge.Tokens.Run(running) })
	}
	group.Go(func() error { rails.watch(running, cfg); return nil })
	meters.open(server, hub, backend, lease)
	front.open(handler, server.Calm, server.Incomplete)
	ready.open(source)
	log.Info("catenary listens", "address", listener.Addr().String(), "paths", strings.Join(cfg.Paths, " "), "backend", cfg.Backend.URL, "broadcasts", cfg.Broadcasts.Adapter, "operations", cfg.Operations.Listen)

	select {
	case <-ctx.Done():
	case <-running.Done(): // a part has failed, or Rails has ended
	}
	asked := ctx.Err() != nil
	end := stop(running, cfg, ready, service, front, server, log)
	cancel(end)
	err = group.Wait()
	if errors.Is(err, end) || asked && errors.As(err, new(*childError)) { // whoever asked us may have asked Rails too
		return nil
	}
	return err
}

// load reads the configuration. If config/cable.yml is missing, or says what
// only Ruby can evaluate, unresolved says so: Rails has to be asked where
// broadcasts are published. Behind a command that starts Rails, catenary is
// the one front, so it serves every path.
func load(input config.Input, front bool) (cfg *config.Config, unresolved, err error) {
	cfg, err = config.Load(input)
	if only := new(config.UnresolvedERBError); errors.As(err, &only) {
		unresolved = only
		input.FromRails = map[string]any{"adapter": "redis"} // stands in until Rails is asked
		cfg, err = config.Load(input)
	}
	if err != nil {
		return nil, nil, err
	}
	cfg.Proxy = cfg.Proxy || front
	_, missing := os.Stat(filepath.Join(cfg.Root, "config", "cable.yml"))
	if missing != nil && !cfg.Given("broadcasts.channel_prefix") {
		unresolved = errors.New("config/cable.yml is not here, and no setting says which prefix broadcasts have")
	}
	if cfg.PassesAll() {
		unresolved = nil // broadcasts are the app's own affair
	}
	return cfg, unresolved, nil
}

func newLogger(cfg config.Log, to io.Writer) *slog.Logger {
	var level slog.Level
	level.UnmarshalText([]byte(cfg.Level)) // config has checked it
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		options.ReplaceAttr = readableDuration
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}

// readableDuration writes 25s as text, and not as 25000000000.
func readableDuration(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

func newBackend(cfg *config.Config, observe func(rpc.Observation), tracer *tracing.Tracer) (*rpc.Client, error) {
	if err := cfg.RequireSecret(); err != nil && !cfg.PassesAll() {
		return nil, err
	}
	options := rpc.Options{
		URL: cfg.Backend.URL, Secret: cfg.Backend.Secret.Reveal(), Node: node(), Timeout: cfg.Backend.Timeout,
		Concurrency: cfg.Backend.Concurrency, Adapt: !cfg.FixesConcurrency(), Queue: cfg.Backend.Queue, ReplyBytes: 16 << 20, Observe: observe,
	}
	if tracer != nil {
		options.Trace = tracer.Call
	}
	return rpc.NewClient(options)
}

func limits(cfg *config.Config) cable.Limits {
	return cable.Limits{
		Connections:   cfg.Limits.MaxConnections,
		MessageBytes:  cfg.Limits.MessageBytes,
		Subscriptions: cfg.Limits.SubscriptionsPerConnection,
		Commands:      cfg.Limits.PendingCommands,
		PendingBytes:  int(cfg.Limits.PendingBytes),

		SubscriptionBytes: int(cfg.Limits.SubscriptionBytes),
		MessageWait:       cfg.Limits.MessageTimeout,

		ConnectionsPerAddress: cfg.Limits.ConnectionsPerAddress,
		Handshakes:            cfg.Limits.HandshakesPerSecond,
		HandshakesPerAddress:  cfg.Limits.HandshakesPerSecondPerAddress,
		CommandRate:           cfg.Limits.CommandsPerSecond,
		CommandBurst:          cfg.Limits.CommandsBurst,

		Unanswered:    cfg.Ping.Timeout,
		OpenWait:      cfg.Backend.OpenTimeout,
		CallWait:      cfg.Backend.Timeout,
		CloseCallWait: 2 * time.Minute,
		CloseWait:     5 * time.Second,
	}
}

// node names this process among others. It is made anew at every start:
// connections do not outlive the process either.
var node = func() func() string {
	var random [4]byte
	rand.Read(random[:])
	name := "n-" + hex.EncodeToString(random[:])
	return func() string { return name }
}()
