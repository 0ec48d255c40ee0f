//go:build !linux

package epoll

import (
	"context"
	"errors"
)

// Poller exists on Linux only; elsewhere each connection has a goroutine that waits.
type Poller struct{}

func New() (*Poller, error)                   { return &Poller{}, nil }
func (*Poller) Watch(int, Watcher) error      { return errors.ErrUnsupported }
func (*Poller) Again(int, Watcher)            {}
func (*Poller) Forget(int, Watcher) bool      { return false }
func (*Poller) Run(ctx context.Context) error { <-ctx.Done(); return nil }
