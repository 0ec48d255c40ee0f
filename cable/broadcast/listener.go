package broadcast

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// listener is one connection to Redis in subscribed mode. One goroutine reads, one sends SUBSCRIBE
// and UNSUBSCRIBE, and one probes whether broadcasts still arrive.
type listener struct {
	source  *Redis
	conn    net.Conn
	deliver func(stream string, payload []byte)
	up      func()
	probe   probe

	writeMu sync.Mutex
}

// listen opens a connection, delivers broadcasts and returns why it lost the connection. It calls up
// when every stream that was wanted at the start is live.
func (r *Redis) listen(ctx context.Context, deliver func(string, []byte), up func()) error {
	stream := "_catenary/probe/" + rand.Text()
	conn, hangUp, err := r.dial(ctx, stream)
	if err != nil {
		return err
	}
	defer hangUp()
	l := &listener{source: r, conn: conn, deliver: deliver, up: up}
	l.probe = probe{
		stream: stream, every: r.options.ProbeEvery, deadline: r.options.ProbeDeadline,
		publish: r.Publish, ping: func() error { return l.write([]byte("*1\r\n$4\r\nPING\r\n")) },
		returned: make(chan struct{}, 1), log: r.log, lastSuccess: time.Now(),
	}

	// Redis answers in order, and the probe's stream is subscribed after all that were waiting:
	// when it is live, so are they.
	r.subscriptions.subscribe(stream, up)
	defer r.subscriptions.reset()
	defer r.subscriptions.unsubscribe(stream)

	group, ctx := errgroup.WithContext(ctx)
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	group.Go(func() error { return l.writeCommands(ctx) })
	group.Go(func() error { return l.probe.run(ctx) })
	err = l.read()
	group.Go(func() error { return err })
	return group.Wait()
}

func (l *listener) read() error {
	reader := newPushReader(l.conn, l.source.options.MaxPayload)
	for {
		push, err := reader.read()
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		l.probe.activity.Add(2)
		switch string(push.kind) {
		case "message":
			l.message(push)
		case "subscribe", "unsubscribe":
			expected := l.source.subscriptions.answered(push.name)
			if !expected {
				return fmt.Errorf("%w: an unexpected acknowledgement of %q", errProtocol, push.name)
			}
		case "pong":
			l.probe.success()
		case "error":
			err := l.denied(push.name)
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %q", errProtocol, push.kind)
		}
	}
}

func (l *listener) message(m push) {
	stream, wanted := l.source.subscriptions.stream(m.name)
	switch {
	case !wanted: // Redis sent it before our UNSUBSCRIBE arrived
	case stream == l.probe.stream:
		l.probe.success()
	case m.payload == nil:
		l.source.log.Warn("dropped a broadcast that is too large",
			"stream", stream, "bytes", m.size, "limit", l.source.options.MaxPayload)
	default:
		l.probe.activity.Add(1) // odd: we are busy, so Redis is not to blame for silence
		l.deliver(stream, m.payload)
		l.probe.activity.Add(1)
	}
}

// denied handles an error from Redis. Any error but an ACL's denial of a stream closes the
// connection.
func (l *listener) denied(text []byte) error {
	if !bytes.HasPrefix(text, []byte("NOPERM")) {
		return fmt.Errorf("redis answered: %s", text)
	}
	stream, denied := l.source.subscriptions.denied()
	if !denied {
		return nil
	}
	l.source.log.Error("Redis denies a stream: allow it with ACL SETUSER … &pattern",
		"stream", stream, "error", string(text))
	if stream == l.probe.stream { // it will never be live
		l.up()
	}
	return nil
}

func (l *listener) writeCommands(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.source.subscriptions.wake:
		}
		commands := l.source.subscriptions.commands()
		if len(commands) == 0 {
			continue
		}
		err := l.write(commands)
		if err != nil {
			return fmt.Errorf("subscribing: %w", err)
		}
	}
}

func (l *listener) write(b []byte) error {
	l.writeMu.Lock()
	defer l.writeMu.Unlock()
	err := l.conn.SetWriteDeadline(time.Now().Add(l.source.options.Timeout))
	if err != nil {
		return err
	}
	_, err = l.conn.Write(b)
	return err
}
