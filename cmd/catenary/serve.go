package main

import (
	"context"
	"errors"
	"io"

	"github.com/catenary-cable/catenary/config"
)

// serve runs the server until ctx ends, and then stops it in order: no more
// handshakes; every browser is told; Rails knows of every end; the command
// that we have started; the source of broadcasts last.
func serve(ctx context.Context, input config.Input, command, environ []string, stderr io.Writer) error {
	ctx, ignore := untilHangup(ctx, len(command) > 0)
	defer ignore()
	cfg, err := load(input, len(command) > 0)
	if err != nil {
		return err
	}
	a := newAssembly(ctx, cfg, environ, stderr)
	defer a.close() // if we do not come as far as to stop in order
	if err := a.listen(ctx); err != nil {
		return err
	}
	if err := a.start(command, stderr); err != nil {
		return err
	}
	if !cfg.PassesAll() {
		a.cfg, err = a.rails.complete(ctx, a.running, input, cfg)
	}
	if err == nil {
		err = a.open()
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	if onTerminal(stderr) && cfg.Log.Format == "text" {
		a.attend(func(ctx context.Context) { welcome(ctx, a.cfg, a.ready, stderr) })
	}

	select {
	case <-ctx.Done():
	case <-a.running.Done(): // a part has failed, or Rails has ended
	}
	asked := ctx.Err() != nil
	end := a.stop()
	a.cancel(end)
	err = a.parts.Wait()
	if errors.Is(err, end) || asked && errors.As(err, new(*childError)) { // whoever asked us may have asked Rails too
		return nil
	}
	return err
}
