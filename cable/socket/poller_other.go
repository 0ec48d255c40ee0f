//go:build !linux

package socket

import (
	"context"
	"errors"
)

// poller exists on Linux only; elsewhere each connection has a goroutine that waits.
type poller struct{}

func newPoller() (*poller, error)             { return &poller{}, nil }
func (*poller) watch(*reader) error           { return errors.ErrUnsupported }
func (*poller) arm(*reader)                   {}
func (*poller) forget(*reader)                {}
func (*poller) run(ctx context.Context) error { <-ctx.Done(); return nil }
