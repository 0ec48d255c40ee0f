// Command catenary is the WebSocket server beside a Rails app.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
