package cable

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cable/turbo"
	"github.com/catenary-cable/catenary/rpc"
)

// Options are what a Server needs. All of it belongs to the caller.
type Options struct {
	Backend *rpc.Client
	Hub     *Hub
	Node    string // our name among others, also in connections' ids
	Mount   string // where Rails mounts Action Cable, "/cable"
	Limits  Limits
	Ping    time.Duration // between pings; 0: BeatInterval
	Log     *slog.Logger

	PassThrough *PassThrough // nil: nothing is left to the app's own Action Cable
	Edge        Edge
	Secret      string // signs what nodes ask of each other, see Dismissal

	// Lease has other nodes run our callbacks if we are killed. Its caller runs
	// it, with the server as its connections; nil: nobody does.
	Lease *lease.Lease

	// HandshakeSettled is told of every handshake about which Rails was asked,
	// and how long that took: opened, refused (by Rails), unavailable (Rails)
	// or lost (the browser has gone). It may be nil.
	HandshakeSettled func(outcome string, took time.Duration)
}

// Server accepts connections and knows those that are open. It is the
// handler of the cable's path.
type Server struct {
	backend *rpc.Client
	hub     *Hub
	node    string
	mount   string
	limits  Limits
	log     *slog.Logger
	poller  *poller

	passThrough *PassThrough
	edge        Edge
	rules       atomic.Pointer[Rules]          // nil: not known
	verifier    atomic.Pointer[turbo.Verifier] // nil: Turbo's streams are Rails' affair
	settled     func(outcome string, took time.Duration)
	gate        *gate
	turnedAway  *tally // handshakes, by why
	slowed      *tally // commands, by limit
	refused     *tally // subscriptions, by limit
	badNames    *tally // of Turbo's streams
	started     time.Time

	heartbeat heartbeat
	holders   holders

	dismissals dismissals
	lease      *lease.Lease // may be nil
	closer     closer
	publisher  publisher
	pace       pace // of those whose objects are lost
	count      counters
	queues     queues
	serial     atomic.Int64
	short      atomic.Bool     // of memory
	context    context.Context // of all calls; ended last
	cancel     context.CancelFunc
	patience   context.Context // of what may wait as long as nobody stops us
	hurry      context.CancelFunc

	mu          sync.Mutex
	connections map[string]*Connection // by id, until Rails knows of their end
	opening     int                    // handshakes under way
	asking      int                    // of these, those that Rails has been asked about
	calmer      sync.Cond              // signalled when Rails has answered one
	draining    bool
	empty       chan struct{} // closed when draining and the last is gone
}

// NewServer makes a server; Run makes it work.
func NewServer(o Options) (*Server, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	s := &Server{
		backend: o.Backend, hub: o.Hub, node: o.Node, mount: o.Mount, limits: o.Limits, log: o.Log, poller: p, passThrough: o.PassThrough,
		dismissals: dismissals{secret: o.Secret}, lease: o.Lease, edge: o.Edge, gate: newGate(o.Limits), started: time.Now(),
		turnedAway: newTally("handshakes are turned away", o.Log, turnedAway[:]...), slowed: newTally("a browser's commands are slowed down", o.Log, "commands_per_second", "pending_commands"),
		refused:     newTally("subscriptions are refused", o.Log, "subscriptions_per_connection", "subscription_bytes"),
		badNames:    newTally("signed names of Turbo's streams are rejected", o.Log),
		connections: map[string]*Connection{}, empty: make(chan struct{}),
	}
	s.holders.init()
	s.heartbeat.interval = cmp.Or(o.Ping, BeatInterval)
	s.closer.server = s
	s.count.ends = zeros(endings[:])
	if s.settled = o.HandshakeSettled; s.settled == nil {
		s.settled = func(string, time.Duration) {}
	}
	s.calmer.L = &s.mu
	s.publisher = publisher{source: o.Hub.source, count: &s.count, log: o.Log, queue: make(chan publication, publishQueue)}
	s.context, s.cancel = context.WithCancel(context.Background())
	s.patience, s.hurry = context.WithCancel(s.context)
	return s, nil
}

// Run keeps the connections alive until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	defer s.cancel()
	defer s.hub.leave(s.hub.listen("_catenary/"+s.node, s.late))
	if s.edge.Tokens != nil {
		defer s.hub.leave(s.hub.listen(DismissalStream, s.dismiss))
	}
	go s.heartbeat.run(ctx)
	go s.publisher.run(ctx)
	go s.holders.run(ctx)
	go s.backend.Run(ctx, s.processGone)
	return s.poller.run(ctx)
}

// admit makes sure that there is room for one connection more.
func (s *Server) admit(address netip.Addr) (err error) {
	if err := s.gate.enter(address); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.gate.leave(address)
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errors.New("the server is being stopped")
	}
	if s.short.Load() {
		return &overLimit{"memory", http.StatusServiceUnavailable}
	}
	if len(s.connections)+s.opening >= s.limits.Connections {
		return &overLimit{"max_connections", http.StatusServiceUnavailable}
	}
	s.opening++
	return nil
}

// settleOpening ends a handshake, of which a connection may have come. It
// reports whether the server is being stopped: then Drain does not know of it.
func (s *Server) settleOpening(c *Connection, opened bool) (stopping bool) {
	if !opened {
		s.gate.leave(c.address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	if opened {
		s.connections[c.id] = c
	}
	s.checkEmpty()
	return s.draining
}

// remove forgets a connection, of whose end Rails knows.
func (s *Server) remove(c *Connection) {
	s.gate.leave(c.address)
	defer s.lease.Changed(c.id)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c.id)
	s.checkEmpty()
}

func (s *Server) checkEmpty() {
	if s.draining && s.opening == 0 && len(s.connections) == 0 {
		select {
		case <-s.empty:
		default:
			close(s.empty)
		}
	}
}

// late applies what happened to a connection in Rails after the reply.
func (s *Server) late(payload []byte) {
	late, err := rpc.ParseLate(payload)
	if err != nil {
		s.log.Warn("late effects cannot be read", "error", err)
		return
	}
	s.mu.Lock()
	c := s.connections[late.Connection]
	s.mu.Unlock()
	if c != nil {
		c.applyLate(late)
	}
}
