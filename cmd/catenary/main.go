// Command catenary is the WebSocket server that runs beside a Rails app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/catenary-cable/catenary/cmd/catenary/child"
)

func main() {
	ctx := signalContext()
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	var rails *child.Error
	var status *statusError
	switch {
	case errors.As(err, &rails):
		os.Exit(rails.Status)
	case errors.As(err, &status):
		fmt.Fprintln(os.Stderr, "catenary:", err)
		os.Exit(status.status)
	case err != nil:
		fmt.Fprintln(os.Stderr, "catenary:", err)
		os.Exit(1)
	}
}

// statusError ends the program with an exit status of its own.
type statusError struct {
	status int
	error
}

// run is the whole program. Nothing below it reads arguments, the environment or the standard
// streams.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	root := rootCommand(environ, stdout, stderr)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// signalContext returns a context that the first SIGINT or SIGTERM cancels, for a graceful stop. A
// second signal exits at once.
func signalContext() context.Context {
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

// hangupContext cancels ctx, for a graceful stop, when the terminal closes (SIGHUP), unless nohup
// ignores that. With a command, the signal is passed on to the command instead.
func hangupContext(ctx context.Context, hasCommand bool) (context.Context, context.CancelFunc) {
	if hasCommand || signal.Ignored(syscall.SIGHUP) {
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}

// variable returns the value of an environment variable, "" if it is not set.
func variable(environ []string, name string) (value string) {
	for _, entry := range environ {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			value = v
		}
	}
	return value
}
