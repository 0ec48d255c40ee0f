package cable

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// Browsers that speak actioncable-v1-ext-json get the numbers of broadcasts, and may ask for what
// they have missed: docs/history.md. Their frames differ, so each is built for one browser.

// HistoryReader reads what was broadcast before. *history.History implements it.
type HistoryReader interface {
	Keeps(stream string) bool // reports whether the stream has a history
	Read(ctx context.Context, streams []string, request protocol.History) (
		entries []history.Entry, reached map[string]protocol.Position, err error)
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
	historyEarly   = "too_early" // not confirmed, or too soon after another request
	historyBehind  = "behind"    // what follows the position was sent already, in part
)

var (
	errInvalidHistory = errors.New(historyInvalid)
	errEarlyHistory   = errors.New(historyEarly)
	errBehindHistory  = errors.New(historyBehind)
)

// answerExtended handles a command that Action Cable does not have, and reports whether it did. c.mu
// is held.
func (c *Connection) answerExtended(command protocol.Command, asked *replay) bool {
	if !c.extended() || command.Extended == "" {
		return false // if it is unknown, Rails logs it
	}
	switch command.Extended {
	case "ping":
		c.socket.SendText(protocol.Pong)
	case "history":
		c.requestHistory(command.Identifier, asked)
	case "presence":
		c.socket.SendText(string(protocol.NoPresence(command.Identifier)))
	}
	return true
}

// requestHistory handles a request for the history of a subscription that exists. c.mu is held.
func (c *Connection) requestHistory(identifier string, asked *replay) {
	s := c.subscriptions.find(identifier)
	switch {
	case s == nil || !s.confirmed || s.pendingStreams > 0 || s.replay != nil,
		uint32(time.Now().Unix()) <= s.historyAsked:
		c.rejectHistory(identifier, errEarlyHistory)
	case s.goesBack(asked.request):
		c.rejectHistory(identifier, errBehindHistory)
	default:
		s.replay = asked
		s.startReplay()
	}
}

// goesBack reports whether a request begins before the broadcast that was sent last: what lies between
// would arrive out of order. c.mu is held.
func (s *subscription) goesBack(request protocol.History) bool {
	for stream, sent := range s.positions {
		at, known := request.Streams[stream]
		if !known && request.Since > 0 || known && at.Epoch == sent.Epoch && at.Offset < sent.Offset {
			return true
		}
	}
	return false
}

func (c *Connection) rejectHistory(identifier string, reason error) {
	c.server.histories.Add(history.Reason(reason), "error", reason)
	c.socket.SendText(string(protocol.RejectHistory(identifier)))
}

// replay is a history that is due to the browser: on request, or after a gap. Broadcasts that arrive
// before it has been sent are held.
type replay struct {
	request   protocol.History
	valid     bool
	requested bool // by the browser's latest command
	due       bool // the subscription is confirmed
	started   bool
	held      []numberedBroadcast
	bytes     int // of held as frames, about
}

// numberedBroadcast is a broadcast for a browser that gets numbers.
type numberedBroadcast struct {
	stream string
	hub.Broadcast
	frame []byte // nil for one that is held
}

// newReplay returns the history that a command asks for, or nil. Parsing may take long, so c.mu is not
// held.
func (c *Connection) newReplay(command protocol.Command) *replay {
	bySubscribe := command.Kind == protocol.Subscribe && command.History != ""
	if !c.extended() || !bySubscribe && command.Extended != "history" {
		return nil
	}
	r := &replay{requested: true}
	r.request, r.valid = protocol.ParseHistory(command.History)
	return r
}

// noteHistory keeps the history that a subscribe asks for until the confirmation; nil: none. c.mu is
// held.
func (s *subscription) noteHistory(asked *replay) {
	if old := s.replay; old != nil { // of the subscription that the browser has ended
		if asked == nil {
			old.requested = false
			return
		}
		asked.held = old.held
		asked.bytes = old.bytes
	}
	s.replay = asked
}

// startReplay reads the history that is due, after the one that the connection reads now. The
// subscription is confirmed, so its streams are live: no broadcast is lost between those that are read
// and those that are held. c.mu is held.
func (s *subscription) startReplay() {
	r := s.replay
	if r == nil || r.started {
		return
	}
	r.due = true
	c := s.connection
	if !r.valid {
		s.endReplay(nil, nil, errInvalidHistory)
		return
	}
	if c.readsHistory {
		return
	}
	c.readsHistory = true
	r.started = true
	if r.requested {
		s.historyAsked = uint32(time.Now().Unix())
	}
	var streams []string
	for _, m := range s.streams {
		if m.Token == nil {
			streams = append(streams, m.Stream())
		}
	}
	for name := range r.request.Streams {
		if s.findStream(name) < 0 {
			c.server.histories.Count(historyForeign)
			break
		}
	}
	go func() {
		entries, reached, err := c.server.history.Read(c.server.context, streams, r.request)
		found := c.frames(s.identifier, entries)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.readsHistory = false
		if c.closed {
			return
		}
		if s.replay == r {
			s.endReplay(found, reached, err)
		}
		for _, next := range c.subscriptions.all() {
			if next.replay != nil && next.replay.due {
				next.startReplay()
			}
		}
	}()
}

// frames builds the frames of a history.
func (c *Connection) frames(identifier string, entries []history.Entry) (found []numberedBroadcast) {
	for _, entry := range entries {
		payload, except := hub.CutPage(entry.Payload)
		n := numberedBroadcast{stream: entry.Stream, Broadcast: hub.Broadcast{
			Payload: string(payload), Position: entry.Position,
			Others:  except != 0 && except == c.socket.Page,
			Invalid: !hub.Valid(payload),
		}}
		if !n.Others && !n.Invalid {
			n.frame = c.numberedFrame(identifier, entry.Stream, n.Broadcast)
		}
		found = append(found, n)
	}
	return found
}

func (c *Connection) numberedFrame(identifier, stream string, b hub.Broadcast) []byte {
	if b.Position.Offset == 0 {
		return c.textFrame(protocol.Message(identifier, []byte(b.Payload)))
	}
	return c.textFrame(protocol.Numbered(identifier, []byte(b.Payload), stream, b.Position))
}

func (c *Connection) textFrame(text []byte) []byte {
	frame := socket.Text(text)
	if c.socket.Deflates() {
		frame = socket.Deflate(frame)
	}
	return frame
}

// endReplay sends the history, or rejects it, and then what was held. c.mu is held.
func (s *subscription) endReplay(found []numberedBroadcast, reached map[string]protocol.Position, err error) {
	c := s.connection
	r := s.replay
	s.replay = nil
	s.gaps = c.server.gapsEnded.Load()
	bytes := r.bytes
	for _, n := range found {
		bytes += len(n.frame)
	}
	if err == nil && len(found) > 0 && bytes > c.server.limits.Socket.PendingBytes {
		err = history.ErrTooLong
	}
	if err != nil {
		c.rejectHistory(s.identifier, err)
		for stream, at := range s.positions { // it need not be told again of earlier gaps
			s.setPosition(stream, at.Position)
		}
		s.sendHeld(r, nil)
		return
	}
	c.server.histories.Count(historySent)
	var frames []byte
	for _, n := range found {
		if s.advance(n.stream, n.Broadcast) {
			frames = append(frames, n.frame...)
		}
	}
	for stream, at := range reached { // the next broadcast may come after a gap
		last := s.positions[stream]
		if s.findStream(stream) >= 0 && (last.Epoch != at.Epoch || last.Offset <= at.Offset) {
			s.setPosition(stream, at)
		}
	}
	c.socket.Send(append(frames, c.textFrame(protocol.ConfirmHistory(s.identifier))...))
	s.sendHeld(r, reached)
}

// sendHeld sends what was held during a replay, which has read streams up to these positions. If there
// is a gap in a further stream, a replay of that, too, is due first. c.mu is held.
func (s *subscription) sendHeld(r *replay, reached map[string]protocol.Position) {
	c := s.connection
	var frames []byte
	for i, n := range r.held {
		_, read := reached[n.stream]
		_, known := s.positions[n.stream]
		if reached != nil && known && !read && s.misses(n.stream, n.Broadcast) {
			next := s.newGapReplay(n.stream, n.Broadcast)
			for stream := range reached { // no further gap in these counts, so this ends
				at, known := s.positions[stream]
				if known {
					next.request.Streams[stream] = at.Position
				}
			}
			next.held = r.held[i:]
			next.bytes = r.bytes
			s.replay = next
			break
		}
		if s.advance(n.stream, n.Broadcast) {
			frames = append(frames, c.numberedFrame(s.identifier, n.stream, n.Broadcast)...)
		}
	}
	if frames != nil {
		c.socket.Send(frames)
	}
	s.startReplay()
}

// dropReplay gives up a history if Rails has answered and not confirmed the subscription. c.mu is held.
func (s *subscription) dropReplay() {
	switch {
	case s.replay == nil || s.replay.due || s.confirmation != nil:
	case s.live && !s.connection.closed:
		s.endReplay(nil, nil, errEarlyHistory)
	default:
		s.replay = nil
	}
}

// leaveReplay drops the history of a subscription that has ended, unless the browser has subscribed
// again and asks for one. c.mu is held.
func (s *subscription) leaveReplay() {
	r := s.replay
	s.replay = nil
	if r != nil && r.requested && s.wanted && s.queuedCommands > 0 {
		s.replay = &replay{request: r.request, valid: r.valid, requested: true}
	}
}

// numberedOverhead is about what a frame has besides its payload, stream and identifier.
const numberedOverhead = 100

// deliverNumbered sends a broadcast to a browser that gets numbers, or holds it during a replay.
func (c *Connection) deliverNumbered(s *subscription, m *hub.Member, b hub.Broadcast) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stream := m.Stream()
	i := s.findStream(stream)
	if c.closed || i < 0 || s.streams[i] != m { // it has left since the delivery began
		return
	}
	if s.replay == nil && s.misses(stream, b) {
		s.replay = s.newGapReplay(stream, b)
		s.startReplay()
	}
	r := s.replay
	if r == nil {
		if s.advance(stream, b) {
			c.socket.Send(c.numberedFrame(s.identifier, stream, b))
		}
		return
	}
	if b.Others || b.Invalid {
		b.Payload = "" // only its position counts
	}
	r.bytes += len(b.Payload) + len(s.identifier) + len(stream) + numberedOverhead
	if r.bytes > c.server.limits.Socket.PendingBytes {
		go c.Slow()
		return
	}
	r.held = append(r.held, numberedBroadcast{stream: stream, Broadcast: b})
}

// GapBegan notes that the source of broadcasts may miss some, and that what arrives from now on may
// come after those.
func (s *Server) GapBegan() {
	s.gapSince.Store(time.Now().Add(-gapNoticed).Unix())
	s.gapsBegun.Add(1)
}

// gapNoticed is more than the time in which the source notices a gap.
const gapNoticed = 15 * time.Second

// GapEnded reads the histories of the browsers that stayed connected during a gap, which began then.
func (s *Server) GapEnded(began time.Time) {
	s.gapsEnded.Store(s.gapsBegun.Load())
	go func() {
		for _, c := range s.all() {
			c.mu.Lock()
			if c.extended() && !c.closed {
				for _, one := range c.subscriptions.all() {
					one.replayGap(began)
				}
			}
			c.mu.Unlock()
		}
	}()
}

// replayGap has the subscription's history read after a gap. c.mu is held.
func (s *subscription) replayGap(began time.Time) {
	if !s.confirmed || s.pendingStreams > 0 || s.replay != nil || !s.hasHistory() {
		return
	}
	s.replay = s.newReplaySince(began.Unix())
	s.startReplay()
}

// newReplaySince returns the history of everything that the browser does not have, from a Unix second on
// for streams on which it has received nothing. c.mu is held.
func (s *subscription) newReplaySince(since int64) *replay {
	positions := map[string]protocol.Position{}
	for stream, at := range s.positions {
		positions[stream] = at.Position
	}
	return &replay{valid: true, request: protocol.History{Since: since, Streams: positions}}
}

func (s *subscription) hasHistory() bool {
	return slices.ContainsFunc(s.streams, func(m *hub.Member) bool {
		return m.Token == nil && s.connection.server.history.Keeps(m.Stream())
	})
}

// position is what a browser has of a stream.
type position struct {
	protocol.Position
	gaps uint32 // of the source that had ended
}

// misses reports whether broadcasts before this one have not arrived, or may not have, because the
// source had a gap. The browser, which stayed connected, then gets the history. c.mu is held.
func (s *subscription) misses(stream string, b hub.Broadcast) bool {
	last, known := s.positions[stream]
	switch {
	case b.Position.Offset == 0:
		return false
	case !known:
		return b.Position.Offset > 1 && s.mayMiss(s.gaps)
	case last.Epoch != b.Position.Epoch:
		return b.Position.Offset > 1 || s.mayMiss(last.gaps)
	}
	return b.Position.Offset > last.Offset+1
}

// mayMiss reports whether the source has had another gap since so many had ended. What it missed at the
// end of an epoch, no number shows.
func (s *subscription) mayMiss(gaps uint32) bool {
	return gaps != s.connection.server.gapsBegun.Load()
}

// newGapReplay returns the history of a stream that misses broadcasts before b. c.mu is held.
func (s *subscription) newGapReplay(stream string, b hub.Broadcast) *replay {
	last, known := s.positions[stream]
	if !known {
		return s.newReplaySince(s.connection.server.gapSince.Load())
	}
	from := last.Position
	if last.Epoch != b.Position.Epoch && !s.mayMiss(last.gaps) {
		from = protocol.Position{Epoch: b.Position.Epoch}
	}
	return &replay{valid: true, request: protocol.History{Streams: map[string]protocol.Position{stream: from}}}
}

// advance notes that a broadcast is the latest of its stream, and reports whether the browser gets it:
// not if the browser has it already. c.mu is held.
func (s *subscription) advance(stream string, b hub.Broadcast) bool {
	if s.findStream(stream) < 0 {
		return false
	}
	if b.Position.Offset > 0 {
		last := s.positions[stream]
		if last.Epoch == b.Position.Epoch && last.Offset >= b.Position.Offset {
			return false
		}
		s.setPosition(stream, b.Position)
	}
	return !b.Others && !b.Invalid
}

func (s *subscription) setPosition(stream string, at protocol.Position) {
	if s.positions == nil {
		s.positions = map[string]position{}
	}
	s.positions[stream] = position{at, s.connection.server.gapsEnded.Load()}
}
