package cable

import (
	"context"
	"errors"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/protocol"
)

// Browsers that speak actioncable-v1-ext-json get the numbers of broadcasts, and may ask for what
// they have missed: docs/history.md. Their frames differ, so each is built for one browser.

// HistoryReader reads what was broadcast before. *history.History implements it.
type HistoryReader interface {
	Read(ctx context.Context, streams []string, request protocol.History) ([]history.Entry, error)
}

// extended reports whether the browser speaks actioncable-v1-ext-json.
func (c *Connection) extended() bool { return c.subprotocol == protocol.V1ExtJSON }

// railsProtocol is the sub-protocol that Rails receives in calls. It does not know the extended one.
func (c *Connection) railsProtocol() string {
	if c.extended() {
		return protocol.V1JSON
	}
	return c.subprotocol
}

// Outcomes of a browser's request for history, besides history's reasons.
const (
	historySent    = "sent"
	historyForeign = "foreign_stream" // a position on a stream that the subscription does not have
	historyInvalid = "invalid"
)

// answerExtended handles a command that Action Cable does not have, and reports whether it did. c.mu
// is held.
func (c *Connection) answerExtended(command protocol.Command, text []byte) bool {
	if !c.extended() || command.Kind != protocol.Unknown {
		return false
	}
	switch protocol.ExtendedCommand(text) {
	case "ping":
		c.socket.SendText(protocol.Pong)
	case "history":
		s := c.subscriptions.find(command.Identifier)
		if s == nil || !s.live || !s.confirmed() || s.replay != nil {
			return true
		}
		s.replay = newReplay(command.History)
		s.startReplay()
	case "presence":
		c.socket.SendText(string(protocol.NoPresence(command.Identifier)))
	case "pong", "whisper", "join", "leave":
	default:
		return false // Rails logs it
	}
	return true
}

// replay is a history that is due to the browser: on request, or after a gap. Broadcasts that arrive
// before it has been sent are held.
type replay struct {
	request protocol.History
	valid   bool
	started bool
	held    []heldBroadcast
	bytes   int // in held
}

type heldBroadcast struct {
	stream string
	hub.Broadcast
}

func newReplay(text string) *replay {
	r := &replay{}
	r.request, r.valid = protocol.ParseHistory(text)
	return r
}

// noteHistory keeps a subscribe's request for history until the confirmation. c.mu is held.
func (s *subscription) noteHistory(command protocol.Command) {
	if s.connection.extended() && command.Kind == protocol.Subscribe && command.History != "" {
		s.replay = newReplay(command.History)
	}
}

// startReplay reads the history that is due. The subscription is confirmed, so its streams are live:
// no broadcast is lost between those that are read and those that are held. c.mu is held.
func (s *subscription) startReplay() {
	r := s.replay
	if r == nil || r.started {
		return
	}
	r.started = true
	c := s.connection
	var streams []string
	for _, m := range s.streams {
		if m.Token == nil {
			streams = append(streams, m.Stream())
		}
	}
	for name := range r.request.Streams {
		if s.findStream(name) < 0 {
			c.server.histories.Count(historyForeign)
		}
	}
	if !r.valid {
		s.endReplay(nil, errInvalidHistory)
		return
	}
	go func() {
		entries, err := c.server.history.Read(c.server.context, streams, r.request)
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.closed && s.replay == r {
			s.endReplay(entries, err)
		}
	}()
}

var errInvalidHistory = errors.New(historyInvalid)

// endReplay sends the history, or rejects it, and then what was held. c.mu is held.
func (s *subscription) endReplay(entries []history.Entry, err error) {
	c := s.connection
	held := s.replay.held
	s.replay = nil
	if err == nil {
		c.server.histories.Count(historySent)
		for _, entry := range entries {
			payload, except := hub.CutPage(entry.Payload)
			others := except != 0 && except == c.socket.Page
			s.sendNumbered(entry.Stream, hub.Broadcast{Payload: string(payload), Position: entry.Position, Others: others})
		}
		c.socket.SendText(string(protocol.ConfirmHistory(s.identifier)))
	} else {
		c.server.histories.Add(history.Reason(err), "error", err)
		c.socket.SendText(string(protocol.RejectHistory(s.identifier)))
	}
	for _, b := range held {
		s.sendNumbered(b.stream, b.Broadcast)
	}
}

// deliverNumbered sends a broadcast to a browser that gets numbers, or holds it during a replay.
func (c *Connection) deliverNumbered(s *subscription, stream string, b hub.Broadcast) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || !hub.Valid([]byte(b.Payload)) {
		return
	}
	if s.replay == nil && s.misses(stream, b) {
		s.replay = &replay{valid: true, request: protocol.History{Streams: map[string]protocol.Position{stream: s.positions[stream]}}}
		s.startReplay()
	}
	r := s.replay
	if r == nil {
		s.sendNumbered(stream, b)
		return
	}
	r.bytes += len(b.Payload)
	if r.bytes > c.server.limits.Socket.PendingBytes {
		go c.Slow()
		return
	}
	r.held = append(r.held, heldBroadcast{stream, b})
}

// misses reports whether broadcasts before this one have not arrived, because the source had a gap.
// The browser, which stayed connected, then gets the history. c.mu is held.
func (s *subscription) misses(stream string, b hub.Broadcast) bool {
	last := s.positions[stream]
	return last.Epoch != "" && last.Epoch == b.Position.Epoch && b.Position.Offset > last.Offset+1
}

// sendNumbered sends a broadcast, unless the browser has it already. c.mu is held.
func (s *subscription) sendNumbered(stream string, b hub.Broadcast) {
	if b.Position.Offset == 0 {
		if b.Others {
			return
		}
		s.connection.socket.SendText(string(protocol.Message(s.identifier, []byte(b.Payload))))
		return
	}
	last := s.positions[stream]
	if last.Epoch == b.Position.Epoch && last.Offset >= b.Position.Offset {
		return
	}
	if s.positions == nil {
		s.positions = map[string]protocol.Position{}
	}
	s.positions[stream] = b.Position
	if b.Others {
		return
	}
	s.connection.socket.SendText(string(protocol.Numbered(s.identifier, []byte(b.Payload), stream, b.Position)))
}
