//go:build !linux

package descriptor

import (
	"context"
	"errors"
)

// Poller exists on Linux only; elsewhere each connection has a goroutine that waits.
type Poller struct{}

func NewPoller() (*Poller, error)             { return &Poller{}, nil }
func (*Poller) Watch(int, Watcher) error      { return errors.ErrUnsupported }
func (*Poller) Again(int, Watcher)            {}
func (*Poller) Closing(int, Watcher)          {}
func (*Poller) Run(ctx context.Context) error { <-ctx.Done(); return nil }

func Write(int, []byte) (n int, broken bool) { return 0, false }
func Read(int, []byte) (int, error)          { return 0, nil }
func Close(int)                              {}
func Shutdown(int)                           {}
