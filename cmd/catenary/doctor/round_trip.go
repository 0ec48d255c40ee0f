package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// roundTripWait is for connecting, subscribing and hearing ourselves.
const roundTripWait = 5 * time.Second

// source is where broadcasts come from.
type source interface {
	Run(ctx context.Context, deliver func(stream string, payload []byte)) error
	Subscribe(stream string, acknowledged func())
	Publish(ctx context.Context, stream string, payload []byte) error
	Ready() error
}

// RoundTrip publishes on a stream of our own and waits until it comes back. It
// runs the source, which is of no use afterwards.
func RoundTrip(ctx context.Context, s source) error {
	ctx, cancel := context.WithTimeout(ctx, roundTripWait)
	defer cancel()
	stream := "_catenary/doctor/" + rand.Text()
	heard, live, ended := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	s.Subscribe(stream, func() { close(live) })
	go func() {
		ended <- s.Run(ctx, func(on string, _ []byte) {
			if on == stream {
				heard <- struct{}{}
			}
		})
	}()
	defer func() { cancel(); <-ended }()

	select {
	case <-live:
	case <-ctx.Done():
		return fmt.Errorf("nothing can be heard: %w", s.Ready())
	}
	if err := s.Publish(ctx, stream, []byte("{}")); err != nil {
		return fmt.Errorf("nothing can be published: %w", err)
	}
	select {
	case <-heard:
		return nil
	case <-ctx.Done():
		return errors.New("what is published does not come back: is this a Redis whose pub/sub is restricted?")
	}
}
