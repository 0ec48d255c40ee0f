package broadcast

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// EmbeddedOptions bounds what the embedded source takes on.
type EmbeddedOptions struct {
	Address       string  // loopback host:port; default 127.0.0.1:6390
	Password      string  // what AUTH must say; empty: no AUTH
	ChannelPrefix *string // nil: none; empty: ":stream"
	MaxClients    int     // default 1024
	MaxMessage    int     // bytes of one command; default 16 MiB
	MaxPending    int     // bytes that may wait for one subscriber; default 32 MiB
}

// Embedded is catenary answering the Redis protocol, as far as pub/sub needs
// it: Rails' unmodified redis adapter publishes to it, other subscribers (a
// Puma with native Action Cable) hear it, redis-cli can look inside. It keeps
// no data. For one machine: it listens on loopback addresses only.
type Embedded struct {
	options EmbeddedOptions
	log     *slog.Logger

	arrived chan arrival // to Run

	publishing sync.Mutex // one PUBLISH at a time, so that all hear them in one order

	mu       sync.RWMutex
	listener net.Listener
	closed   bool
	wanted   map[string]string // topics that catenary hears: topic → stream
	clients  map[*respClient]struct{}
	topics   map[string]map[*respClient]struct{}
	patterns map[string]map[*respClient]struct{}

	done    chan struct{} // closed when Run ends
	serving sync.WaitGroup
	ids     atomic.Int64
}

type arrival struct {
	stream  string
	payload []byte
	taken   chan struct{} // closed when it is delivered; nil: nobody waits
}

// What may wait for deliver: so many, of which only the last may be a long one.
// Publishers wait beyond it.
const (
	waitingArrivals = 64
	longArrival     = 64 << 10
)

// NewEmbedded checks the options and opens nothing.
func NewEmbedded(options EmbeddedOptions, log *slog.Logger) (*Embedded, error) {
	if options.Address == "" {
		options.Address = "127.0.0.1:6390"
	}
	if err := checkLoopback(options.Address); err != nil {
		return nil, err
	}
	setDefault(&options.MaxClients, 1024)
	setDefault(&options.MaxMessage, 16<<20)
	setDefault(&options.MaxPending, 32<<20)
	return &Embedded{
		options: options, log: log,
		arrived:  make(chan arrival, waitingArrivals),
		wanted:   make(map[string]string),
		clients:  make(map[*respClient]struct{}),
		topics:   make(map[string]map[*respClient]struct{}),
		patterns: make(map[string]map[*respClient]struct{}),
		done:     make(chan struct{}),
	}, nil
}

// checkLoopback refuses other addresses: whoever reaches the port can publish
// to every browser.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("the embedded broadcast source's address %q is not host:port", address)
	}
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("the embedded broadcast source listens on loopback only, not on %q: "+
		"use 127.0.0.1, ::1 or localhost, or a real Redis for more than one machine", host)
}

// Listen opens the port. Run does it too; call it first when a child that
// connects is to be started in between.
func (e *Embedded) Listen() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.listener != nil {
		return nil
	}
	listener, err := net.Listen("tcp", e.options.Address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("the embedded broadcast source cannot listen on %s: another program (a Redis, another "+
			"catenary?) has this port; stop it, or choose another port here and in the url of config/cable.yml",
			e.options.Address)
	}
	if err != nil {
		return fmt.Errorf("opening the embedded broadcast source: %w", err)
	}
	e.listener = listener
	return nil
}

// Address is host:port once it listens, and empty before.
func (e *Embedded) Address() string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.listener == nil {
		return ""
	}
	return e.listener.Addr().String()
}

// Run answers clients until ctx ends, and then returns nil. deliver is called
// by this goroutine only; while it blocks, publishers wait. An Embedded is run
// once.
func (e *Embedded) Run(ctx context.Context, deliver func(stream string, payload []byte)) error {
	if err := e.Listen(); err != nil {
		return err
	}
	defer e.serving.Wait()
	defer e.close()
	e.serving.Go(e.accept)
	e.log.Info("broadcasts arrive", "embedded", e.Address())
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-e.arrived:
			deliver(a.stream, a.payload)
			if a.taken != nil {
				close(a.taken)
			}
		}
	}
}

func (e *Embedded) accept() {
	for {
		conn, err := e.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // usually: no file descriptors left
			e.log.Error("the embedded broadcast source cannot accept a client", "error", err)
			select {
			case <-e.done:
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		e.admit(conn)
	}
}

func (e *Embedded) admit(conn net.Conn) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed || len(e.clients) >= e.options.MaxClients {
		_ = conn.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = conn.Write([]byte("-ERR max number of clients reached\r\n"))
		_ = conn.Close()
		return
	}
	client := newRESPClient(e, conn, e.ids.Add(1))
	e.clients[client] = struct{}{}
	e.serving.Go(client.serve)
}

func (e *Embedded) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	close(e.done)
	_ = e.listener.Close()
	for client := range e.clients {
		_ = client.conn.Close()
	}
}

// Subscribe acknowledges at once: whatever is published from now on arrives.
func (e *Embedded) Subscribe(stream string, acknowledged func()) {
	e.mu.Lock()
	e.wanted[topicOf(e.options.ChannelPrefix, stream)] = stream
	e.mu.Unlock()
	acknowledged()
}

func (e *Embedded) Unsubscribe(stream string) {
	e.mu.Lock()
	delete(e.wanted, topicOf(e.options.ChannelPrefix, stream))
	e.mu.Unlock()
}

// Publish broadcasts to every subscriber, ourselves included, as a PUBLISH
// from Rails does.
func (e *Embedded) Publish(ctx context.Context, stream string, payload []byte) error {
	if err := e.Ready(); err != nil {
		return fmt.Errorf("publishing: %w", err)
	}
	_, err := e.publish(ctx, topicOf(e.options.ChannelPrefix, stream), append([]byte(nil), payload...))
	return err
}

// Ready is nil while the port is open.
func (e *Embedded) Ready() error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.listener == nil || e.closed {
		return fmt.Errorf("the embedded broadcast source is not listening on %s", e.options.Address)
	}
	return nil
}

var errStopped = errors.New("the embedded broadcast source has been stopped")

// publish owns the payload and returns how many heard it. Subscribers never
// block it; deliver does.
func (e *Embedded) publish(ctx context.Context, topic string, payload []byte) (receivers int, err error) {
	e.publishing.Lock()
	defer e.publishing.Unlock()
	e.mu.RLock()
	stream, ours := e.wanted[topic]
	for client := range e.topics[topic] {
		client.message(topic, payload)
		receivers++
	}
	for pattern, clients := range e.patterns {
		if !matches(topic, pattern) {
			continue
		}
		for client := range clients {
			client.patternMessage(pattern, topic, payload)
			receivers++
		}
	}
	e.mu.RUnlock()
	if !ours {
		return receivers, nil
	}
	a := arrival{stream: stream, payload: payload}
	to, taken := e.arrived, a.taken
	if len(payload) > longArrival {
		a.taken = make(chan struct{})
	}
	for {
		select {
		case to <- a:
			to, taken = nil, a.taken
			if taken == nil {
				return receivers + 1, nil
			}
		case <-taken:
			return receivers + 1, nil
		case <-e.done:
			return receivers, errStopped
		case <-ctx.Done():
			return receivers, fmt.Errorf("publishing: broadcasts are taken too slowly: %w", ctx.Err())
		}
	}
}
