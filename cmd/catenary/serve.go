package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/child"
	"github.com/catenary-cable/catenary/config"
)

// serve runs the server until ctx is done, and then stops it in order: it rejects handshakes, tells
// every browser to reconnect, waits until Rails has run the disconnect callbacks, stops the command
// that it started, and closes the source of broadcasts last.
func serve(ctx context.Context, input config.Input, command, environ []string, stderr io.Writer) error {
	ctx, cancel := hangupContext(ctx, len(command) > 0)
	defer cancel()
	cfg, err := load(input, len(command) > 0)
	if err != nil {
		return err
	}
	a := newAssembly(ctx, cfg, environ, stderr)
	defer a.close() // for what stop has not reached
	if err := a.listen(ctx); err != nil {
		return err
	}
	if err := a.start(command, stderr); err != nil {
		return err
	}
	if !cfg.PassesAll() {
		a.cfg, err = a.rails.Complete(ctx, a.running, input, cfg)
	}
	if err == nil {
		err = a.open()
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	if onTerminal(stderr) && cfg.Log.Format == "text" {
		a.background(func(ctx context.Context) { welcome(ctx, a.cfg, a.ready, stderr) })
	}

	select {
	case <-ctx.Done():
	case <-a.running.Done(): // a part has failed, or Rails has exited
	}
	asked := ctx.Err() != nil
	stopped := a.stop()
	a.cancel(stopped)
	err = a.parts.Wait()
	if errors.Is(err, stopped) {
		return nil
	}
	// Ctrl-C in a terminal may have stopped Rails as well as catenary.
	if asked && errors.As(err, new(*child.Error)) {
		return nil
	}
	return err
}

// load reads the configuration. With a command that starts Rails, catenary serves the app's pages
// too.
func load(input config.Input, hasCommand bool) (*config.Config, error) {
	cfg, err := config.Load(input)
	if err != nil {
		return nil, err
	}
	cfg.Proxy = cfg.Proxy || hasCommand
	return cfg, nil
}

// stopped is the cause with which all parts are cancelled after browsers and Rails were notified.
type stopped struct{ deadline time.Time }

// Deadline is when the shutdown grace expires. Rails may use what is left of it.
func (s *stopped) Deadline() time.Time { return s.deadline }

func (s *stopped) Error() string {
	return fmt.Sprintf("catenary has stopped, with a grace until %v", s.deadline)
}

// stop does, in order, what others see of a stop. /ready answers 503, and for shutdown.delay that
// is all. Then handshakes are rejected, browsers are told to reconnect one by one, Rails runs the
// disconnect callbacks, and web requests in flight finish. If a part or Rails is gone already, stop
// skips the delay and tells all browsers at once.
func (a *assembly) stop() *stopped {
	shutdown := a.cfg.Shutdown
	a.ready.drain()
	a.service.stopping()
	end := &stopped{deadline: time.Now().Add(shutdown.Grace)}
	a.log.Info("catenary is stopping", "grace", shutdown.Grace, "delay", shutdown.Delay, "drain", shutdown.Drain)
	grace, cancel := context.WithDeadline(context.Background(), end.deadline)
	defer cancel()

	if a.server == nil { // no browser has connected yet
		a.front.Leave()
		a.front.Stop(grace)
		return end
	}
	select {
	case <-time.After(shutdown.Delay):
	case <-a.running.Done():
	}
	over := shutdown.Drain
	if a.running.Err() != nil {
		over = 0
	}
	a.front.Leave()
	if left, err := a.server.Drain(grace, over); err != nil {
		a.log.Warn("shutdown grace expired with disconnects pending", "connections", left)
	}
	a.front.Stop(grace)
	return end
}
