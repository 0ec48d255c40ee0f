package cable

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// Options are what a Server needs. All of it belongs to the caller.
type Options struct {
	Backend *rpc.Client
	Hub     *hub.Hub
	Node    string // our name among others, also in connections' ids
	Limits  Limits
	Restart Restart
	Ping    time.Duration // between pings; 0: socket.BeatInterval
	Log     *slog.Logger

	Admission *admission.Admission
	Compress  bool         // long messages, for browsers that offer permessage-deflate
	Silent    bool         // browsers that should come back are not told why they must, see Connection.tells
	Relay     *relay.Relay // nil: nothing is left to the app's own Action Cable
	Secret    string       // signs what nodes ask of each other, see token.Revocation

	// Lease has other nodes run our callbacks if we are killed. Its caller runs
	// it, with the server as its connections; nil: nobody does.
	Lease *lease.Lease

	// Publish broadcasts as the app would; nil: nobody is told how many a request
	// to disconnect has met.
	Publish func(ctx context.Context, stream string, payload []byte) error

	// HandshakeSettled is told of every handshake about which Rails was asked,
	// and how long that took: opened, refused (by Rails), unavailable (Rails)
	// or lost (the browser has gone). It may be nil.
	HandshakeSettled func(outcome string, took time.Duration)
}

// Server accepts connections and knows those that are open. It is the
// handler of the cable's path.
type Server struct {
	backend *rpc.Client
	hub     *hub.Hub
	node    string
	limits  Limits
	restart Restart
	silent  bool
	log     *slog.Logger
	sockets *socket.Sockets

	admission *admission.Admission
	relay     *relay.Relay
	verifier  atomic.Pointer[turbo.Verifier]                                 // nil: Turbo's streams are Rails' affair
	publish   func(ctx context.Context, stream string, payload []byte) error // may be nil
	answers   met
	settled   func(outcome string, took time.Duration)
	throttled *stats.ThrottledCounter // commands, by limit
	refused   *stats.ThrottledCounter // subscriptions, by limit
	badNames  *stats.ThrottledCounter // of Turbo's streams
	raised    *stats.ThrottledCounter // exceptions in connect

	tokens      connectionsByToken
	revocations token.Revocations
	lease       *lease.Lease // may be nil
	closer      closer
	pace        pace // of those whose objects are lost
	count       counters
	unseen      sync.Once // warns that Rails' restarts are not noticed
	serial      atomic.Int64
	short       atomic.Bool     // of memory
	context     context.Context // of all calls; ended last
	cancel      context.CancelFunc
	patience    context.Context // of what may wait as long as nobody stops us
	hurry       context.CancelFunc

	mu          sync.Mutex
	connections map[string]*Connection // by id, until Rails knows of their end
	handshakes  map[string]*Connection // by id, those about which Rails is asked
	opening     int                    // handshakes under way
	draining    bool
	empty       chan struct{} // closed when draining and the last is gone
}

// NewServer makes a server; Run makes it work.
func NewServer(o Options) (*Server, error) {
	throttled := stats.NewThrottledCounter("a browser's commands are slowed down", o.Log,
		"commands_per_second", "pending_commands")
	sockets, err := socket.NewSockets(socket.Options{
		Limits: o.Limits.Socket, Ping: o.Ping, Compress: o.Compress, Throttled: throttled,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		backend: o.Backend, hub: o.Hub, node: o.Node, limits: o.Limits, restart: o.Restart, silent: o.Silent, log: o.Log, sockets: sockets,
		admission: o.Admission, relay: o.Relay, throttled: throttled,
		refused: stats.NewThrottledCounter("subscriptions are refused", o.Log,
			"subscriptions_per_connection", "subscription_bytes"),
		badNames:    stats.NewThrottledCounter("signed names of Turbo's streams are rejected", o.Log),
		raised:      stats.NewThrottledCounter("the app's connect raises an exception, see Rails' log", o.Log),
		revocations: token.Revocations{Secret: o.Secret}, lease: o.Lease,
		connections: map[string]*Connection{}, handshakes: map[string]*Connection{}, empty: make(chan struct{}),
	}
	s.tokens.init()
	s.closer = closer{server: s, lost: stats.NewThrottledCounter("ends did not reach Rails", o.Log)}
	s.count.ends = map[string]int64{}
	for _, reason := range endings {
		s.count.ends[reason] = 0
	}
	s.publish = o.Publish
	s.settled = o.HandshakeSettled
	if s.settled == nil {
		s.settled = func(string, time.Duration) {}
	}
	s.context, s.cancel = context.WithCancel(context.Background())
	s.patience, s.hurry = context.WithCancel(s.context)
	return s, nil
}

// Run keeps the connections alive until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	defer s.cancel()
	if s.admission.ChecksTokens() {
		defer s.hub.Leave(s.hub.Listen(token.RevocationStream, s.revoke))
	}
	go s.tokens.run(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() { s.backend.Run(ctx, (*backend)(s)) })
	return s.sockets.Run(ctx)
}

// admit makes sure that there is room for one connection more.
func (s *Server) admit(address netip.Addr) (err error) {
	err = s.admission.AdmitHandshake(address)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			s.admission.ReleaseHandshake(address)
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errors.New("the server is being stopped")
	}
	if s.short.Load() {
		return &admission.OverLimit{Limit: "memory", Status: http.StatusServiceUnavailable}
	}
	if len(s.connections)+s.opening >= s.limits.Connections {
		return &admission.OverLimit{Limit: "max_connections", Status: http.StatusServiceUnavailable}
	}
	s.opening++
	return nil
}

// settleOpening ends a handshake, of which a connection may have come. It
// reports whether the server is being stopped: then Drain does not know of it.
func (s *Server) settleOpening(c *Connection, opened bool) (stopping bool) {
	if !opened {
		s.admission.ReleaseHandshake(c.address)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opening--
	delete(s.handshakes, c.id)
	if opened {
		s.connections[c.id] = c
	}
	s.checkEmpty()
	return s.draining
}

// RefuseForMemory answers new handshakes with 503, or no longer. Those who are
// here stay.
func (s *Server) RefuseForMemory(refuse bool) { s.short.Store(refuse) }

// ShedBacklog ends the connections of the browsers that keep up least, and of
// those for which most waits for Rails. It returns how many.
func (s *Server) ShedBacklog() (ended int) { return s.sockets.Shed() + s.shedCalls() }

// shedCalls ends half of the connections for which much waits for Rails, those
// with the most before others.
func (s *Server) shedCalls() (ended int) {
	var most []*Connection
	bytes := map[*Connection]int{}
	for _, c := range s.all() {
		if held := c.held(); held > socket.WriteBytes {
			most, bytes[c] = append(most, c), held
		}
	}
	slices.SortFunc(most, func(a, b *Connection) int { return cmp.Compare(bytes[b], bytes[a]) })
	most = most[:(len(most)+1)/2]
	for _, c := range most {
		c.end("memory", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
	return len(most)
}

// remove forgets a connection, of whose end Rails knows.
func (s *Server) remove(c *Connection) {
	s.admission.ReleaseHandshake(c.address)
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

// find returns a connection by its id, one that is being opened too, or nil.
func (s *Server) find(id string) *Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.connections[id]; c != nil {
		return c
	}
	return s.handshakes[id]
}

// all returns the connections that there are.
func (s *Server) all() []*Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.connections))
}

// backend is what the server does with what Rails does by itself.
type backend Server

func (b *backend) Effects(connection string, ops []rpc.Op) {
	if c := (*Server)(b).find(connection); c != nil {
		c.effects(ops)
	}
}

func (b *backend) Sync(connection string, done func()) {
	if c := (*Server)(b).find(connection); c != nil {
		c.sync(done)
		return
	}
	done()
}

func (b *backend) Keep(connection string, from *rpc.Process, kept rpc.Kept) {
	if c := (*Server)(b).find(connection); c != nil {
		c.handedOver(from, kept)
	}
}

func (b *backend) Gone(p *rpc.Process) { (*Server)(b).processGone(p.ID) }

var _ rpc.Handler = (*backend)(nil)
