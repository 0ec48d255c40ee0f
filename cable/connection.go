package cable

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// Connection is one browser's WebSocket. Server.ServeHTTP opens it, Receive takes
// the browser's commands to Rails, applyResult and applyEffects apply what Rails
// answers, and disconnect closes it. It has no goroutine of its own.
type Connection struct {
	// static after the handshake
	server      *Server
	id          string
	name        string             // Rails' connection_identifier, as in Rails' log
	request     rpc.EncodedRequest // the handshake, for a Rails process that rebuilds the connection
	subprotocol string
	tags        []string   // of Rails' log
	address     netip.Addr // counted in limits per address; zero: not counted
	token       *heldToken // nil: it had none

	socket socket.Socket

	upstream *relay.Upstream // to the app's own Action Cable; nil: nothing is passed through yet

	takenOver atomic.Bool // another node has run its disconnect callbacks

	mu              sync.Mutex     // guards the rest
	closed          bool           // disconnect has run
	browserEnding   *socket.Ending // how the browser's side closed; nil: catenary closed it
	disconnecting   bool           // disconnectInTurn has scheduled its disconnect
	welcomed        bool           // Rails has sent the welcome
	heartbeat       *timer         // calls the app's own beat; nil: the app does not override it
	subscriptions   subscriptions
	internalStreams []*hub.Member    // for remote disconnects
	rendering       *turbo.Rendering // its latest stamped page; nil: it has had none
	refresh         *refresh         // of that page; nil: none is due

	// calls to Rails
	calls         []*queuedCall
	commandBytes  int         // of browser's commands in calls
	payloadBytes  int         // of broadcasts in calls
	inFlightBytes int         // of the call in flight
	callInFlight  bool        // stays true from the close call on
	space         spaceSignal // in calls, for which the socket's reader may wait

	// what catenary keeps of Rails' objects
	process       *rpc.Process // holds the objects; nil: none does, or calls go by POST
	version       string       // of the objects; "": Rails has none
	state         string       // opaque, see docs/rpc.md
	stale         bool         // the process has a later state and will hand it over
	recordChanged bool         // since it was last reported to the lease
	readsHistory  bool         // of one subscription; the others wait

	pendingStreams int32    // joined and not yet live
	syncs          []func() // to call when pendingStreams is 0

	// while the handshake lasts
	abandoned bool          // the handshake ended while Rails was still running connect
	started   bool          // the browser has its 101
	early     *earlyEffects // nil: there were none
}

// heldToken is the token that a connection was opened with.
type heldToken struct {
	*token.Claims
	expires int64 // Unix second; guarded by connectionsByToken

	// If identities are set, the app's connect did not run.
	identities json.RawMessage
}

// earlyEffects are effects before the 101.
type earlyEffects struct {
	ops   []rpc.Op // up to limits.pending_bytes
	bytes int      // of all
}

// takeEarlyOps returns the effects that have come before the 101. c.mu is held.
func (c *Connection) takeEarlyOps() (ops []rpc.Op) {
	if c.early != nil {
		ops, c.early.ops = c.early.ops, nil
	}
	return ops
}

// serverRestart has the browser reconnect, as Rails does when it restarts.
var serverRestart = &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true}

// start begins the life of an accepted connection: it applies the result of the
// app's connect and starts to read the socket.
func (c *Connection) start(opened *rpc.Result) {
	c.indexByToken()
	c.debug("connection opened", "protocol", c.subprotocol)
	if c.upstream != nil { // the app sends everything, the welcome too
		c.socket.Uncork()
		c.upstream.Begin()
		c.socket.Start()
		return
	}
	c.mu.Lock()
	opened.Ops = append(opened.Ops, c.takeEarlyOps()...)
	c.started = true
	overflow := c.early != nil && c.early.bytes > c.server.limits.Socket.PendingBytes
	c.early = nil
	c.mu.Unlock()
	if opened.Raised {
		c.server.connectRaised.Add("connect_failed", "connection", c.id, "name", c.name)
	}
	c.applyResult(opened, &queuedCall{})
	if overflow {
		c.Slow()
	}
	c.mu.Lock()
	welcomed, closed := c.welcomed, c.closed
	if welcomed && !closed {
		c.socket.StartPings()
	}
	c.mu.Unlock()
	c.socket.Uncork()
	if !welcomed && !closed { // connect raised: Rails never sends anything, so the client must reconnect
		c.disconnect("connect_failed", serverRestart)
	}
	c.socket.Start()
}

func (c *Connection) indexByToken() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token != nil && !c.closed {
		c.server.tokens.add(c)
	}
}

// Receive takes one message from the browser. It answers only what Rails need not
// see, above all repeated subscribes, and queues the rest for Rails. It blocks
// while the queue is full.
func (c *Connection) Receive(text []byte) {
	command := protocol.ParseCommand(text)
	asked := c.newReplay(command)
	c.server.count.commands[command.Kind].Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitForSpace()
	if c.closed {
		return
	}
	handled := c.passThrough(command, text) || c.answerExtended(command, asked) || c.answerTurbo(command, asked)
	if handled {
		return
	}
	q := &queuedCall{call: rpc.Call{Do: rpc.Frames, Frames: []string{string(text)}}}
	if command.Kind == protocol.Subscribe || command.Kind == protocol.Unsubscribe {
		changes, needsCall := c.noteChange(command, asked)
		if !needsCall {
			return
		}
		q.changes = changes
	}
	c.enqueue(q)
}

// noteChange notes a subscribe or unsubscribe on its subscription, if there is one,
// and reports whether Rails must see it. It rejects a subscribe over a limit. c.mu is
// held.
func (c *Connection) noteChange(command protocol.Command, asked *replay) (changes []subscriptionChange, needsCall bool) {
	s := c.subscriptions.find(command.Identifier)
	if command.Kind == protocol.Subscribe {
		overLimit := s != nil && s.overLimit
		if s == nil {
			overLimit = !c.admitSubscription(len(command.Identifier))
		}
		if overLimit {
			c.socket.SendText(string(protocol.Reject(command.Identifier)))
			return nil, false
		}
		s = c.findOrAddSubscription(command.Identifier)
	}
	if s == nil { // unsubscribe without a subscription: Rails logs it
		return nil, true
	}
	if !s.needsCall(command.Kind, time.Now()) {
		c.server.count.repeated.Add(1)
		return nil, false
	}
	s.wanted = command.Kind == protocol.Subscribe
	if s.wanted {
		s.noteHistory(asked)
	}
	s.queuedCommands++
	return []subscriptionChange{{s, command.Kind}}, true
}

// admitSubscription reports whether the limits allow one more subscription with an
// identifier of that many bytes. It counts a rejection. c.mu is held.
func (c *Connection) admitSubscription(bytes int) bool {
	if c.exceededLimit(bytes) != "" {
		c.subscriptions.purge(time.Now())
	}
	limit := c.exceededLimit(bytes)
	if limit != "" {
		c.server.subscriptionsRejected.Add(limit)
	}
	return limit == ""
}

// exceededLimit names the limit that one more subscription would exceed, or "".
func (c *Connection) exceededLimit(bytes int) string {
	count, relayedBytes := c.upstream.Subscriptions()
	count += c.subscriptions.count()
	bytes += c.subscriptions.bytes() + relayedBytes
	switch limits := &c.server.limits; {
	case count >= limits.Subscriptions:
		return "subscriptions_per_connection"
	case bytes > limits.SubscriptionBytes:
		return "subscription_bytes"
	}
	return ""
}

// deliverToBlock queues a broadcast for a stream's block, which runs in Rails.
func (c *Connection) deliverToBlock(s *subscription, stream, payload string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !s.live {
		return
	}
	limits := &c.server.limits
	tooLong := c.payloadBytes > 0 && c.payloadBytes+len(payload) > limits.Socket.PendingBytes
	if tooLong || len(c.calls) >= limits.Commands {
		go c.Slow() // broadcasts arrive faster than Rails runs the block
		return
	}
	c.enqueue(&queuedCall{call: rpc.Call{
		Do: rpc.Deliver, Channel: s.identifier, Stream: stream, Payload: payload,
	}})
}

// remoteDisconnect handles a message on the connection's internal stream.
func (c *Connection) remoteDisconnect(payload []byte) {
	d, ok := protocol.ParseRemote(payload)
	if !ok {
		return
	}
	c.server.countDisconnected(requestOf(payload), 1)
	go c.disconnect("remote_disconnect", &d)
}

// Slow closes the connection of a browser that does not keep up. The browser may
// reconnect.
func (c *Connection) Slow() { c.disconnect("slow", serverRestart) }

// End closes the connection without a disconnect frame: the browser is gone, or the
// frame would not reach it.
func (c *Connection) End(reason string, how *socket.Ending) {
	c.mu.Lock()
	if !c.closed {
		c.browserEnding = how
	}
	c.mu.Unlock()
	c.disconnect(reason, nil)
}

// disconnect closes the connection; only the first call counts. The browser gets
// the frame of d, if any. Rails runs the disconnect callbacks after the commands
// that the browser sent before.
func (c *Connection) disconnect(reason string, d *protocol.Disconnect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.countStale(-1)
	c.closed = true
	if d != nil && c.sendsFrame(d) {
		c.socket.Send(socket.Text(d.Frame()))
	}
	sent := c.socket.SendClose(websocket.CloseNormalClosure, "")
	if sent {
		c.socket.AbortUnlessAnswered()
	}

	c.callSyncs()
	c.leaveRendering()
	c.socket.StopPings()
	if c.token != nil {
		c.server.tokens.remove(c)
	}
	for _, m := range c.internalStreams {
		c.server.hub.Leave(m)
	}
	for _, s := range c.subscriptions.all() {
		if s.live {
			c.server.count.subscriptions.Add(-1)
			s.countOut()
		}
		s.stopTimers()
		for _, m := range s.streams {
			c.server.hub.Leave(m) // s keeps the names: the close call lists them
		}
	}
	c.dropQueuedDeliveries()
	c.space.signal()
	if c.heartbeat != nil {
		c.heartbeat.Stop()
	}
	c.server.count.closed(reason)
	c.debug("connection closed", "reason", reason)
	if c.upstream != nil {
		c.upstream.Close()
		if c.upstream.Whole() {
			return // the app runs its callbacks when the upstream closes
		}
	}
	if c.takenOver.Load() {
		c.calls = nil
	}
	c.callNext() // makes the close call, unless another call is queued or in flight
}

// sendsFrame reports whether the browser gets a disconnect frame. Clients from
// before Rails 6 do not know the frame and may not survive it (npm's of 5.2
// throws); they reconnect after any close. A client that offers no sub-protocol is
// taken for one of them; npm's of 5.2 offers one, hence SkipDisconnectFrames. Only
// the frame can keep a browser from reconnecting, and Rails sends the frame of a
// remote disconnect to every client.
func (c *Connection) sendsFrame(d *protocol.Disconnect) bool {
	if !d.Reconnect {
		return true
	}
	return !c.server.skipDisconnectFrames && (c.subprotocol != "" || d.Reason == protocol.Remote)
}

func (c *Connection) debug(message string, args ...any) {
	if c.server.log.Enabled(c.server.context, slog.LevelDebug) {
		c.log().Debug(message, args...)
	}
}

// log returns a logger with the connection's id and its name in Rails' log, where
// it follows "Registered connection". Most connections never log, so none keeps one.
func (c *Connection) log() *slog.Logger {
	return c.server.log.With("connection", c.id, "name", c.name)
}
