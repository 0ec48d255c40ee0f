package cable

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/admission/token"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/relay"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// Connection is one browser's WebSocket. Its life is: Server.ServeHTTP opens it
// in Rails and accepts it, Receive takes each of the browser's commands to
// Rails, apply does what Rails answers, end is the end. Between these nothing
// of it runs.
type Connection struct {
	// static after the handshake
	server   *Server
	id       string
	name     string          // how Rails' log names it (connection_identifier)
	request  json.RawMessage // the handshake, for a Rails that must rebuild
	protocol string
	tags     []string
	address  netip.Addr    // that it is counted by; zero: none
	claims   *token.Claims // nil: it came without a token

	identities json.RawMessage // from the token, for Rails; nil: the app's connect has run

	socket socket.Socket

	upstream *relay.Upstream // to the app's own Action Cable; nil until a channel is passed through

	expires int64 // guarded by the server's connectionsByToken

	taken atomic.Bool // another node has told Rails of its end

	mu            sync.Mutex // guards the rest
	welcomed      bool
	ended         bool
	ending        *socket.Ending // nil: a close frame of ours
	beating       *timer         // nil: nobody but us sends heartbeats
	lost          bool           // Rails has lost its objects: it ends in its turn
	state         string         // Rails' own, see docs/rpc.md
	stale         bool           // Rails holds a later one, and will hand it over
	subscriptions subscriptions
	internal      []*hub.Member // listening for remote disconnects
	calls         []queuedCall
	waiting       int          // bytes of the browser's commands among them
	payloads      int          // bytes of broadcasts among them
	underway      int          // bytes of the call that is under way
	calling       bool         // a call is under way
	room          room         // in the queue of calls, or of what is passed through
	home          *rpc.Process // that holds its objects; nil: none, or calls go by POST
	version       string       // of these objects; "": Rails has none
	pending       int          // streams not yet acknowledged
	syncs         []func()     // wait until there are none
	abandoned     bool         // nobody waits any more until Rails has opened it
	started       bool         // the browser has its 101
	backlog       []rpc.Op     // effects until then
	backlogBytes  int
	changed       bool // what another node would have to know of it
}

// start begins the life of an accepted connection with what Rails' connect
// has done.
func (c *Connection) start(opened *rpc.Result) {
	c.hold()
	c.debug("connection opened", "protocol", c.protocol)
	if c.upstream != nil { // everything is relayed, the welcome too
		c.socket.Uncork()
		c.upstream.Begin()
		c.socket.Start()
		return
	}
	c.mu.Lock()
	opened.Ops = append(opened.Ops, c.backlog...)
	c.backlog, c.started = nil, true
	overflow := c.backlogBytes > c.server.limits.Socket.PendingBytes
	c.mu.Unlock()
	if opened.Raised {
		c.server.raised.Add("connect_failed", "connection", c.id, "name", c.name)
	}
	c.apply(opened, queuedCall{})
	if overflow {
		c.Slow()
	}
	c.mu.Lock()
	welcomed, ended := c.welcomed, c.ended
	if welcomed && !ended {
		c.socket.StartPings()
	}
	c.mu.Unlock()
	c.socket.Uncork()
	if !welcomed && !ended { // connect raised: Rails stays silent forever, a client must not
		c.end("connect_failed", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
	c.socket.Start()
}

// hold makes the connection findable by its token.
func (c *Connection) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claims != nil && !c.ended {
		c.server.tokens.add(c)
	}
}

// Receive takes one text of the browser's. Only what Rails need not see is
// decided here: a repeated subscribe, and what comes after the end.
func (c *Connection) Receive(text []byte) {
	command := protocol.ParseCommand(text)
	c.server.count.commands[command.Kind].Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waitForRoom()
	if c.ended || c.passThrough(command, text) || c.verify(command) {
		return
	}
	q := queuedCall{call: rpc.Call{Do: rpc.Frames, Frames: []string{string(text)}}}
	if command.Kind == protocol.Subscribe || command.Kind == protocol.Unsubscribe {
		s := c.subscriptions.find(command.Identifier)
		if command.Kind == protocol.Subscribe {
			if s == nil && !c.admits(len(command.Identifier)) || s != nil && s.excess {
				c.socket.SendText(string(protocol.Reject(command.Identifier)))
				return
			}
			s = c.subscription(command.Identifier)
		}
		if s != nil {
			if !s.wants(command.Kind, time.Now()) {
				c.server.count.repeated.Add(1)
				return
			}
			s.wanted = command.Kind == protocol.Subscribe
			s.queued++
			q.touched = []touch{{s, command.Kind}}
		}
	}
	c.enqueue(q)
}

// admits reports whether there may be one subscription more, which keeps so many
// bytes.
func (c *Connection) admits(bytes int) bool {
	if c.overLimit(bytes) != "" {
		c.subscriptions.purge(time.Now())
	}
	limit := c.overLimit(bytes)
	if limit != "" {
		c.server.refused.Add(limit)
	}
	return limit == ""
}

// overLimit names the limit that one subscription more would be over.
func (c *Connection) overLimit(bytes int) string {
	count, relayedBytes := c.upstream.Subscriptions()
	count, bytes = count+c.subscriptions.len(), bytes+c.subscriptions.bytes()+relayedBytes
	switch limits := &c.server.limits; {
	case count >= limits.Subscriptions:
		return "subscriptions_per_connection"
	case bytes > limits.SubscriptionBytes:
		return "subscription_bytes"
	}
	return ""
}

// deliverTo takes a broadcast to a stream's block, which runs in Rails.
func (c *Connection) deliverTo(s *subscription, stream, payload string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || !s.live {
		return
	}
	limits := &c.server.limits
	if len(c.calls) >= limits.Commands || c.payloads > 0 && c.payloads+len(payload) > limits.Socket.PendingBytes {
		go c.Slow() // Rails runs its blocks more slowly than broadcasts come
		return
	}
	c.enqueue(queuedCall{call: rpc.Call{Do: rpc.Deliver, Channel: s.identifier, Stream: stream, Payload: payload}})
}

// remote obeys a message on the connection's internal stream.
func (c *Connection) remote(payload []byte) {
	if d, ok := protocol.ParseRemote(payload); ok {
		c.server.met(askedBy(payload), 1)
		go c.end("remote_disconnect", &d)
	}
}

// Slow gives up a browser that does not keep up. It may come back.
func (c *Connection) Slow() {
	c.end("slow", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
}

// End ends the connection of a browser that is gone, or need not be told.
func (c *Connection) End(reason string, with *socket.Ending) {
	c.mu.Lock()
	if !c.ended {
		c.ending = with
	}
	c.mu.Unlock()
	c.end(reason, nil)
}

// end ends the connection, once. With a disconnect, the browser is told.
// Whoever ends it, Rails is told too, after what the browser said before.
func (c *Connection) end(reason string, d *protocol.Disconnect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.countStale(-1)
	c.ended = true
	if d != nil && c.tells(d) {
		c.socket.Send(socket.Text(d.Frame()))
	}
	if c.socket.SendClose(websocket.CloseNormalClosure, "") {
		c.socket.AbortUnlessAnswered()
	}

	c.synced()
	c.socket.StopPings()
	if c.claims != nil {
		c.server.tokens.remove(c)
	}
	for _, m := range c.internal {
		c.server.hub.Leave(m)
	}
	for _, s := range c.subscriptions.all() {
		if s.live {
			c.server.count.subscriptions.Add(-1)
		}
		s.stopTimers()
		for _, m := range s.streams {
			c.server.hub.Leave(m) // the names stay: Rails must be told which there were
		}
	}
	c.forgetDeliveries()
	c.room.signal()
	if c.beating != nil {
		c.beating.Stop()
	}
	c.server.count.ended(reason)
	c.debug("connection ended", "reason", reason)
	if c.upstream != nil {
		c.upstream.Close()
		if c.upstream.Whole() {
			return // the app hears of the end itself
		}
	}
	if c.taken.Load() {
		c.calls = nil
	}
	c.callNext() // if a call is under way, Rails is told after it
}

// tells reports whether the browser is told why it is disconnected. A client from
// before Rails 6 does not know the frame and may not survive it (npm's of 5.2 throws).
// It comes back whenever its connection ends, as natively, where nothing is said
// when a server stops. One that offers no sub-protocol is taken for such a one;
// npm's own cannot be told apart. That it must stay away nothing else can tell.
// A remote disconnect is Rails' word, which it gives to everybody.
func (c *Connection) tells(d *protocol.Disconnect) bool {
	return !d.Reconnect || !c.server.silent && (c.protocol != "" || d.Reason == protocol.Remote)
}

func (c *Connection) debug(message string, args ...any) {
	if c.server.log.Enabled(c.server.context, slog.LevelDebug) {
		c.log().Debug(message, args...)
	}
}

// log is made when it is needed: most connections never log. The name is what
// Rails' log has after "Registered connection", so that both can be read
// together.
func (c *Connection) log() *slog.Logger {
	return c.server.log.With("connection", c.id, "name", c.name)
}
