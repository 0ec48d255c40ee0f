package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"
)

// roundTripTimeout is for connecting, subscribing and receiving the message.
const roundTripTimeout = 5 * time.Second

// source is where broadcasts come from.
type source interface {
	Run(ctx context.Context, deliver func(stream string, payload []byte)) error
	Subscribe(stream string, acknowledged func())
	Publish(ctx context.Context, stream string, payload []byte) error
	Ready() error
}

// RoundTrip publishes a message on a stream of its own and waits until the source delivers it. It
// runs the source, which cannot be used afterwards.
func RoundTrip(ctx context.Context, s source) error {
	ctx, cancel := context.WithTimeout(ctx, roundTripTimeout)
	defer cancel()
	stream := "_catenary/doctor/" + rand.Text()
	received, live, ended := make(chan struct{}, 1), make(chan struct{}), make(chan error, 1)
	s.Subscribe(stream, func() { close(live) })
	go func() {
		ended <- s.Run(ctx, func(on string, _ []byte) {
			if on == stream {
				received <- struct{}{}
			}
		})
	}()
	defer func() { cancel(); <-ended }()

	select {
	case <-live:
	case <-ctx.Done():
		return fmt.Errorf("cannot subscribe to a stream: %w", s.Ready())
	}
	if err := s.Publish(ctx, stream, []byte("{}")); err != nil {
		return fmt.Errorf("cannot publish: %w", err)
	}
	select {
	case <-received:
		return nil
	case <-ctx.Done():
		return errors.New("a message that was published does not arrive: does this Redis restrict pub/sub?")
	}
}
