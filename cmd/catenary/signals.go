package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

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

// untilHangup ends ctx, for a graceful stop, when the terminal is closed, unless
// that is ignored (nohup). Beside a command the signal is the command's.
func untilHangup(ctx context.Context, beside bool) (context.Context, context.CancelFunc) {
	if beside || signal.Ignored(syscall.SIGHUP) {
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(ctx, syscall.SIGHUP)
}
