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
	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/cable/socket/descriptor"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/rpc"
)

// Options configure a Server. The caller runs and closes what they contain.
type Options struct {
	Backend *rpc.Client
	Hub     *hub.Hub
	Node    string // this node's name, unique among nodes; connection ids start with it
	Limits  Limits
	Restart Restart
	Ping    time.Duration // between pings; 0: socket.BeatInterval
	Log     *slog.Logger

	Admission *admission.Admission
	Compress  bool          // long messages, for browsers that offer permessage-deflate
	History   HistoryReader // nil: no stream has one
	Relay     *relay.Relay  // nil: no channel is passed through to the app's own Action Cable
	Secret    string        // shared by all nodes, signs token.Revocation

	// SkipDisconnectFrames closes the connections of browsers that should
	// reconnect without a disconnect frame, see Connection.sendsFrame.
	SkipDisconnectFrames bool

	// Lease lets other nodes run this node's disconnect callbacks if it is killed.
	// The caller runs it with the server as its lease.Connections. nil: no node does.
	Lease *lease.Lease

	// Publish broadcasts as the app would. With it the server reports how many
	// connections a remote disconnect has closed. nil: it does not report them.
	Publish func(ctx context.Context, stream string, payload []byte) error

	// HandshakeDone is called after every handshake that Rails was to open, with
	// the time that it took. The outcome is opened, refused (by Rails),
	// unavailable (Rails) or lost (the browser is gone). It may be nil.
	HandshakeDone func(outcome string, took time.Duration)
}

// Server accepts connections and holds the open ones. It is the HTTP handler of
// the cable's path.
type Server struct {
	backend *rpc.Client
	hub     *hub.Hub
	node    string
	limits  Limits
	restart Restart
	log     *slog.Logger
	sockets *socket.Sockets

	admission            *admission.Admission
	history              HistoryReader
	relay                *relay.Relay                   // may be nil
	verifier             atomic.Pointer[turbo.Verifier] // nil: Rails verifies Turbo's streams
	catchUp              atomic.Pointer[catchUp]        // nil: pages do not catch up
	handshakeDone        func(outcome string, took time.Duration)
	skipDisconnectFrames bool

	publish          func(ctx context.Context, stream string, payload []byte) error // may be nil
	disconnectCounts disconnectCounts

	commandsThrottled     *stats.ThrottledCounter // by limit
	subscriptionsRejected *stats.ThrottledCounter // by limit
	badStreamNames        *stats.ThrottledCounter // Turbo's signed names that failed verification
	connectRaised         *stats.ThrottledCounter // exceptions in the app's connect
	catchUps              *stats.ThrottledCounter // by outcome
	histories             *stats.ThrottledCounter // by outcome
	gapsBegun, gapsEnded  atomic.Uint32           // of the source of broadcasts
	gapSince              atomic.Int64            // Unix second before the latest gap

	tokens       connectionsByToken
	revocations  token.Revocations
	lease        *lease.Lease // may be nil
	closer       closer
	pacer        pacer // staggers disconnects after lost state
	renderings   *turbo.Renderings
	refreshPacer pacer
	count        counters
	channels     stats.Channels

	warnRestarts sync.Once // logs that by POST a restart of Rails goes unnoticed
	serial       atomic.Int64
	memoryShort  atomic.Bool
	context      context.Context // of all calls; cancelled last
	cancel       context.CancelFunc
	serving      context.Context // of waits for the lease; cancelled when draining begins
	stopServing  context.CancelFunc

	mu          sync.Mutex
	connections map[string]*Connection // by id, until Rails has run their disconnect callbacks
	handshakes  map[string]*Connection // by id, while Rails runs their connect
	opening     int                    // handshakes in flight
	draining    bool
	drained     chan struct{} // closed when draining and no connection is left
}

// NewServer returns a server; Run makes it work.
func NewServer(o Options) (*Server, error) {
	throttled := stats.NewThrottledCounter("browser's commands throttled", o.Log,
		"commands_per_second", "pending_commands")
	sockets, err := socket.NewSockets(socket.Options{
		Limits: o.Limits.Socket, Ping: o.Ping, Compress: o.Compress, Throttled: throttled,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		backend: o.Backend, hub: o.Hub, node: o.Node, limits: o.Limits, restart: o.Restart,
		log: o.Log, sockets: sockets, admission: o.Admission, history: o.History, relay: o.Relay, publish: o.Publish,
		handshakeDone: o.HandshakeDone, skipDisconnectFrames: o.SkipDisconnectFrames,
		commandsThrottled: throttled,
		subscriptionsRejected: stats.NewThrottledCounter("subscriptions rejected", o.Log,
			"subscriptions_per_connection", "subscription_bytes"),
		badStreamNames: stats.NewThrottledCounter("signed names of Turbo's streams rejected", o.Log),
		connectRaised:  stats.NewThrottledCounter("the app's connect raised an exception, see Rails' log", o.Log),
		catchUps: stats.NewThrottledCounter("stamp of a Turbo page ignored", o.Log,
			refreshed, refreshedGap, stampYoung, stampShared, pageLeft, turbo.Missing, turbo.Invalid),
		histories: stats.NewThrottledCounter("histories rejected", o.Log,
			append(history.Reasons(), historySent, historyForeign, historyInvalid, historyEarly, historyBehind)...),
		renderings:  turbo.NewRenderings(loadInterval),
		revocations: token.Revocations{Secret: o.Secret},
		lease:       o.Lease,
		connections: map[string]*Connection{},
		handshakes:  map[string]*Connection{},
		drained:     make(chan struct{}),
	}
	if s.history == nil {
		s.history = (*history.History)(nil)
	}
	if s.handshakeDone == nil {
		s.handshakeDone = func(string, time.Duration) {}
	}
	s.tokens.init()
	s.closer.server = s
	s.closer.lost = stats.NewThrottledCounter("failed to deliver disconnect callbacks", o.Log)
	s.count.init()
	s.context, s.cancel = context.WithCancel(context.Background())
	s.serving, s.stopServing = context.WithCancel(s.context)
	return s, nil
}

// Poller returns the poller of all connections, for those that are not WebSockets yet. Run runs it.
func (s *Server) Poller() *descriptor.Poller { return s.sockets.Poller() }

// Run serves connections until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	defer s.cancel()
	if s.admission.ChecksTokens() {
		revocations := s.hub.Listen(token.RevocationStream, s.revoke)
		defer s.hub.Leave(revocations)
	}
	go s.tokens.run(ctx)
	var backend sync.WaitGroup
	defer backend.Wait()
	backend.Go(func() { s.backend.Run(ctx, (*railsHandler)(s)) })
	return s.sockets.Run(ctx)
}

// admit counts one more handshake against the limits, or returns the reason to
// reject it.
func (s *Server) admit(address netip.Addr) error {
	err := s.admission.AdmitHandshake(address)
	if err != nil {
		return err
	}
	err = s.beginOpening()
	if err != nil {
		s.admission.ReleaseHandshake(address)
	}
	return err
}

func (s *Server) beginOpening() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return errors.New("catenary is stopping")
	}
	if s.memoryShort.Load() {
		return &admission.OverLimit{Limit: "memory", Status: http.StatusServiceUnavailable}
	}
	if len(s.connections)+s.opening >= s.limits.Connections {
		return &admission.OverLimit{Limit: "max_connections", Status: http.StatusServiceUnavailable}
	}
	s.opening++
	return nil
}

// finishOpening ends a handshake, and registers the connection if it has opened.
// It reports whether the server is stopping; Drain does not know the connection
// then.
func (s *Server) finishOpening(c *Connection, opened bool) (stopping bool) {
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
	s.checkDrained()
	return s.draining
}

// RejectForMemory starts or stops answering new handshakes with 503. Open
// connections stay.
func (s *Server) RejectForMemory(reject bool) { s.memoryShort.Store(reject) }

// ShedBacklog closes the connections of the slowest browsers and those with the
// most bytes waiting for Rails. It returns how many it has closed.
func (s *Server) ShedBacklog() (closed int) { return s.sockets.Shed() + s.shedCalls() }

// shedCalls closes half of the connections with many bytes waiting for Rails, the
// largest first.
func (s *Server) shedCalls() (closed int) {
	var largest []*Connection
	bytes := map[*Connection]int{}
	for _, c := range s.all() {
		waiting := c.waitingBytes()
		if waiting > socket.WriteBytes {
			largest = append(largest, c)
			bytes[c] = waiting
		}
	}
	slices.SortFunc(largest, func(a, b *Connection) int { return cmp.Compare(bytes[b], bytes[a]) })
	largest = largest[:(len(largest)+1)/2]
	for _, c := range largest {
		c.disconnect("memory", serverRestart)
	}
	return len(largest)
}

// remove forgets a closed connection after Rails has run its disconnect callbacks.
func (s *Server) remove(c *Connection) {
	s.admission.ReleaseHandshake(c.address)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, c.id)
	// Before Drain ends, and with it the lease: for a record left behind, another node would run the
	// callbacks again.
	s.lease.Changed(c.id)
	s.checkDrained()
}

// checkDrained wakes Drain when no connection is left. s.mu is held.
func (s *Server) checkDrained() {
	if !s.draining || s.opening > 0 || len(s.connections) > 0 {
		return
	}
	select {
	case <-s.drained:
	default:
		close(s.drained)
	}
}

// find returns the connection with an id, open or opening, or nil.
func (s *Server) find(id string) *Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.connections[id]; c != nil {
		return c
	}
	return s.handshakes[id]
}

// all returns the open connections.
func (s *Server) all() []*Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.connections))
}

// railsHandler handles what Rails sends besides answers to calls.
type railsHandler Server

func (h *railsHandler) Effects(connection string, ops []rpc.Op) {
	if c := (*Server)(h).find(connection); c != nil {
		c.applyEffects(ops)
	}
}

func (h *railsHandler) Sync(connection string, done func()) {
	if c := (*Server)(h).find(connection); c != nil {
		c.sync(done)
		return
	}
	done()
}

func (h *railsHandler) Keep(connection string, from *rpc.Process, kept rpc.Kept) {
	if c := (*Server)(h).find(connection); c != nil {
		c.receiveState(from, kept)
	}
}

func (h *railsHandler) Gone(p *rpc.Process) { (*Server)(h).processGone(p.ID) }

var _ rpc.Handler = (*railsHandler)(nil)
