package cable

import (
	"encoding/json"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/catenary-cable/catenary/cable/token"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// Connection is one browser's WebSocket. Its life is: Server.ServeHTTP opens it
// in Rails and accepts it, receive takes each of the browser's commands to
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

	socket socket // the way out
	reader reader // the way in
	beat   member // place in the heartbeat
	phase  int    // -1 before and after

	upstream *upstream // to the app's own Action Cable; nil until a channel is passed through

	paced   time.Duration // of the reader: see keepPace
	expires int64         // guarded by the server's holders

	// of whoever makes the connection's calls, one at a time
	boot    string // the process that holds its objects
	version string // of these objects

	taken atomic.Bool // another node has told Rails of its end

	mu            sync.Mutex // guards the rest
	welcomed      bool
	ended         bool
	lost          bool        // Rails has lost its objects: it ends in its turn
	state         string      // Rails' own, see docs/rpc.md
	stale         *time.Timer // not nil: an older one than Rails holds; it is fetched soon
	subscriptions subscriptions
	internal      []*member // listening for remote disconnects
	errands       []errand
	waiting       int    // bytes of the browser's commands among them
	running       bool   // errands are being made
	pending       int    // streams not yet acknowledged
	held          *held  // broadcasts, until they are
	room          room   // in the queue of errands, or of what is passed through
	early         early  // effects that are known before their reply
	changed       bool   // what another node would have to know of it
	home          string // boot, as others would have to know it
}

// start begins the life of an accepted connection with what Rails' connect
// has done.
func (c *Connection) start(ws *websocket.Conn, opened *rpc.Result) {
	ws.SetReadLimit(c.server.limits.MessageBytes)
	ws.SetPingHandler(func(data string) error { c.keepPace(); c.socket.write(frame(pongFrame, data)); return nil })
	ws.SetPongHandler(func(string) error { c.keepPace(); return nil })
	ws.SetCloseHandler(c.answerClose)
	c.hold()
	c.debug("connection opened", "protocol", c.protocol)
	if c.upstream != nil { // everything is relayed, the welcome too
		c.socket.uncork()
		c.upstream.begin()
		c.reader.start(c.server.poller)
		return
	}
	c.apply(opened, errand{})
	c.mu.Lock()
	welcomed, ended := c.welcomed, c.ended
	if welcomed && !ended {
		c.beat.to = &c.socket
		c.phase = c.server.heartbeat.join(&c.beat)
	}
	c.mu.Unlock()
	c.socket.uncork()
	if !welcomed && !ended { // connect raised: Rails stays silent for ever, a client must not
		c.end("connect_failed", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
	c.reader.start(c.server.poller)
}

// hold makes the connection findable by its token.
func (c *Connection) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claims != nil && !c.ended {
		c.server.holders.add(c)
	}
}

// receive takes one text of the browser's. Only what Rails need not see is
// decided here: a repeated subscribe, and what comes after the end.
func (c *Connection) receive(text []byte) {
	c.keepPace()
	command := protocol.ParseCommand(text)
	c.server.count.commands[command.Kind].Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waitForRoom(); c.ended || c.passThrough(command, text) || c.verify(command) {
		return
	}
	e := errand{call: rpc.Call{Do: rpc.Frames, Frames: []string{string(text)}}}
	if command.Kind == protocol.Subscribe || command.Kind == protocol.Unsubscribe {
		s := c.subscriptions.find(command.Identifier)
		if s == nil && command.Kind == protocol.Subscribe {
			if !c.admits(len(command.Identifier)) {
				c.write(string(protocol.Reject(command.Identifier)))
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
			e.touched = []touch{{s, command.Kind}}
		}
	}
	c.send(e)
}

// admits tells whether there may be one subscription more, which keeps so many
// bytes.
func (c *Connection) admits(bytes int) bool {
	if c.overLimit(bytes) != "" {
		c.subscriptions.purge(time.Now())
	}
	limit := c.overLimit(bytes)
	if limit != "" {
		c.server.refused.add(limit)
	}
	return limit == ""
}

// overLimit names the limit that one subscription more would be over.
func (c *Connection) overLimit(bytes int) string {
	count, bytes := c.subscriptions.len(), bytes+c.subscriptions.bytes()
	if c.upstream != nil {
		count, bytes = count+len(c.upstream.order), bytes+c.upstream.bytes()
	}
	switch limits := &c.server.limits; {
	case count >= limits.Subscriptions:
		return "subscriptions_per_connection"
	case bytes > limits.SubscriptionBytes:
		return "subscription_bytes"
	}
	return ""
}

// deliverTo takes a broadcast to a stream's block, which runs in Rails.
func (c *Connection) deliverTo(s *subscription, stream string, payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || !s.live {
		return
	}
	if len(c.errands) >= c.server.limits.Commands {
		go c.slow() // Rails runs its blocks more slowly than broadcasts come
		return
	}
	c.send(errand{call: rpc.Call{Do: rpc.Deliver, Channel: s.identifier, Stream: stream, Payload: string(payload)}})
}

// remote obeys a message on the connection's internal stream.
func (c *Connection) remote(payload []byte) {
	if d, ok := protocol.ParseRemote(payload); ok {
		go c.end("remote", &d)
	}
}

// slow gives up a browser that does not keep up. It may come back.
func (c *Connection) slow() {
	c.end("slow", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
}

// answerClose answers the browser's close frame as websocket-driver does.
func (c *Connection) answerClose(code int, text string) error {
	if code == websocket.CloseNoStatusReceived {
		code = websocket.CloseNormalClosure
	}
	c.socket.finish(frame(closeFrame, websocket.FormatCloseMessage(code, text)))
	return nil
}

// left is called when the browser cannot be read any more.
func (c *Connection) left(err error) {
	if err == errNotUTF8 {
		c.socket.finish(frame(closeFrame, websocket.FormatCloseMessage(errNotUTF8.Code, errNotUTF8.Text)))
	}
	c.socket.finish(nil)
	reason := why(err)
	c.end(reason, nil)
	c.reader.ws = nil // Rails may take a while to hear of the end
	if reason == "browser_closed" || reason == "browser_lost" {
		c.socket.Close()
		return
	}
	// What the browser still sends would reset the connection, and our close
	// frame with it.
	time.AfterFunc(time.Second, func() { c.socket.Close() })
}

// end ends the connection, once. With a disconnect, the browser is told.
// Whoever ends it, Rails is told too, after what the browser said before.
func (c *Connection) end(why string, d *protocol.Disconnect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	c.ended = true
	if d != nil {
		c.socket.write(frame(textFrame, d.Frame()))
	}
	if c.socket.finish(closing(websocket.CloseNormalClosure)) {
		c.socket.abortAfter(c.server.limits.CloseWait)
	}

	c.publishHeld()
	if c.phase >= 0 {
		c.server.heartbeat.leave(&c.beat, c.phase)
	}
	if c.claims != nil {
		c.server.holders.remove(c)
	}
	for _, m := range c.internal {
		c.server.hub.leave(m)
	}
	for _, s := range c.subscriptions.all() {
		if s.live {
			c.server.count.subscriptions.Add(-1)
		}
		s.stopTimers()
		for _, m := range s.streams {
			c.server.hub.leave(m) // the names stay: Rails must be told which there were
		}
	}
	c.room.make()
	if c.stale != nil {
		c.stale.Stop()
	}
	c.server.count.ended(why)
	c.debug("connection ended", "why", why)
	if c.upstream != nil {
		if c.upstream.close(); c.upstream.whole {
			return // the app hears of the end itself
		}
	}
	if c.taken.Load() {
		c.errands = nil
	}
	if !c.running { // else whoever makes its calls tells Rails afterwards
		c.server.closer.add(c)
	}
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
