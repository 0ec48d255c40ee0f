// Command catenary is the WebSocket server beside a Rails app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx := untilSignal()
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	var child *childError
	var status *statusError
	switch {
	case errors.As(err, &child):
		os.Exit(child.status)
	case errors.As(err, &status):
		fmt.Fprintln(os.Stderr, "catenary:", err)
		os.Exit(status.status)
	case err != nil:
		fmt.Fprintln(os.Stderr, "catenary:", err)
		os.Exit(1)
	}
}

// untilSignal returns a context that the first signal ends, for a graceful stop.
// The second ends the program at once, however soon it comes.
func untilSignal() context.Context {
	ctx, stop := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		stop()
		second := (<-signals).(syscall.Signal)
		os.Exit(128 + int(second)) // as a shell would report it
	}()
	return ctx
}

// statusError ends the program with a status of its own.
type statusError struct {
	status int
	error
}

// run is the program. It is all that sees the process: nothing below reads
// arguments, the environment or the standard streams.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	root := rootCommand(environ, stdout, stderr)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}
