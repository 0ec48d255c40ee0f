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

// listener is one connection to Redis in subscribed mode, from its dialling to
// its loss. One goroutine reads, one writes what subscriptions owe, one proves
// that broadcasts still come through.
type listener struct {
	source  *Redis
	conn    net.Conn
	deliver func(stream string, payload []byte)
	up      func()
	probe   probe

	writing sync.Mutex
}

// listen returns when the connection is lost, with the cause. up is called once
// every stream that was wanted at the beginning is live.
func (r *Redis) listen(ctx context.Context, deliver func(string, []byte), up func()) error {
	stream := "_catenary/probe/" + rand.Text()
	conn, hangUp, err := r.dial(ctx, stream)
	if err != nil {
		return err
	}
	defer hangUp()
	l := &listener{source: r, conn: conn, deliver: deliver, up: up}
	l.probe = probe{stream: stream, every: r.options.ProbeEvery, deadline: r.options.ProbeDeadline,
		publish: r.Publish, ping: func() error { return l.write([]byte("*1\r\n$4\r\nPING\r\n")) },
		echoed: make(chan struct{}, 1), log: r.log, provenAt: time.Now()}

	// Redis answers in order, and the probe's stream is asked for after all
	// that were waiting: when it is live, they are.
	r.subscriptions.want(stream, up)
	defer r.subscriptions.reset()
	defer r.subscriptions.unwant(stream)

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
		said, err := reader.read()
		if err != nil {
			return fmt.Errorf("listening: %w", err)
		}
		l.probe.heard.Add(2)
		switch string(said.kind) {
		case "message":
			l.message(said)
		case "subscribe", "unsubscribe":
			if !l.source.subscriptions.reply(said.name) {
				return fmt.Errorf("%w: an acknowledgement of %q that nothing awaits", errProtocol, said.name)
			}
		case "pong":
			l.probe.echo()
		case "error":
			if err := l.refused(said.name); err != nil {
				return err
			}
		default:
			return fmt.Errorf("%w: %q", errProtocol, said.kind)
		}
	}
}

func (l *listener) message(said push) {
	stream, wanted := l.source.subscriptions.stream(said.name)
	switch {
	case !wanted: // it was on its way when the stream was left
	case stream == l.probe.stream:
		l.probe.echo()
	case said.payload == nil:
		l.source.log.Warn("a broadcast is too large and was dropped",
			"stream", stream, "bytes", said.size, "limit", l.source.options.MaxPayload)
	default:
		l.probe.heard.Add(1) // odd: we are busy, Redis is not silent
		l.deliver(stream, said.payload)
		l.probe.heard.Add(1)
	}
}

// refused lives with a user whose ACL does not allow some streams; any other
// error ends the connection.
func (l *listener) refused(reason []byte) error {
	if !bytes.HasPrefix(reason, []byte("NOPERM")) {
		return fmt.Errorf("redis answered: %s", reason)
	}
	stream, refused := l.source.subscriptions.refuse()
	if !refused {
		return nil
	}
	l.source.log.Error("redis does not let us hear a stream: allow it with ACL SETUSER … &pattern",
		"stream", stream, "error", string(reason))
	if stream == l.probe.stream {
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
		if commands := l.source.subscriptions.next(nil); len(commands) > 0 {
			if err := l.write(commands); err != nil {
				return fmt.Errorf("subscribing: %w", err)
			}
		}
	}
}

func (l *listener) write(b []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.conn.SetWriteDeadline(time.Now().Add(l.source.options.Timeout)); err != nil {
		return err
	}
	_, err := l.conn.Write(b)
	return err
}
