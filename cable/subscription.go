package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/cable/stats"
	"github.com/catenary-cable/catenary/protocol"
)

// subscription is one identifier on one connection. wanted follows the browser's
// commands as they arrive, live follows Rails as the commands run. So a repeated
// subscribe never reaches Rails, however slow the first one is. c.mu guards it.
type subscription struct {
	connection *Connection
	identifier string

	wanted         bool      // the browser's last command was a subscribe
	confirmed      bool      // the browser has its confirmation
	historyAsked   uint32    // Unix second in which the browser's latest history was read
	queuedCommands int32     // subscribes and unsubscribes that Rails has not answered
	live           bool      // Rails holds it, or answerTurbo has confirmed it
	verified       bool      // by catenary, and unknown to Rails: see Connection.answerTurbo
	rejected       bool      // by the channel, in the result that is being applied
	overLimit      bool      // Rails holds it although it is over a limit
	pendingStreams int32     // how many of streams are not live yet
	unknownUntil   time.Time // Rails knows no such channel: until then, no subscribe is a call

	channel      *stats.Channel // in which it is counted; nil: it is not confirmed
	state        string         // opaque, see docs/rpc.md
	streams      []*hub.Member  // in no order
	confirmation []byte         // frame to send when pendingStreams is 0
	timers       []*timer       // in Rails' order

	replay    *replay             // of its history; nil: none is due
	positions map[string]position // of what was sent or read last, by stream
	gaps      uint32              // of the source that had ended at the confirmation, or when a history was read last
}

// unknownChannelTTL is how long Rails is not asked again about an unknown channel.
// Clients repeat the subscribe twice a second, forever.
const unknownChannelTTL = 5 * time.Second

// setLive notes whether the subscription is live, and keeps the server's count.
func (s *subscription) setLive(live bool) {
	if s.live == live {
		return
	}
	s.live = live
	if !live {
		s.countOut()
	}
	s.connection.recordChanged = true
	count := &s.connection.server.count.subscriptions
	switch {
	case s.connection.closed: // disconnect has subtracted it
	case live:
		count.Add(1)
	default:
		count.Add(-1)
	}
}

// countIn counts the subscription among its channel's, once.
func (s *subscription) countIn(channel *stats.Channel) {
	if s.channel == nil {
		s.channel = channel
		channel.Subscriptions.Add(1)
	}
}

func (s *subscription) countOut() {
	if s.channel != nil {
		s.channel.Subscriptions.Add(-1)
		s.channel = nil
	}
}

// follow joins a stream. token is nil for a stream without a block.
func (s *subscription) follow(name string, token *string) {
	if s.overLimit || s.findStream(name) >= 0 {
		return
	}
	c := s.connection
	m := &hub.Member{Socket: &c.socket, Subscriber: s, Token: token}
	switch {
	case token != nil:
		m.Callback = func(b hub.Broadcast) {
			if !b.Others {
				c.deliverToBlock(s, name, b.Payload)
			}
		}
	case c.extended():
		m.Callback = func(b hub.Broadcast) { c.deliverNumbered(s, m, b) }
		m.Sends = true
	}
	s.streams = append(s.streams, m)
	c.recordChanged = true
	live := c.server.hub.Join(name, s.identifier, m)
	if !live { // Live takes c.mu, so it cannot have run before this
		m.Waiting = true
		s.pendingStreams++
		c.pendingStreams++
	}
}

// unfollow leaves a stream.
func (s *subscription) unfollow(name string) {
	i := s.findStream(name)
	if i < 0 {
		return
	}
	s.leave(s.streams[i])
	last := len(s.streams) - 1
	s.streams[i] = s.streams[last]
	s.streams[last] = nil
	s.streams = s.streams[:last]
	delete(s.positions, name)
	s.connection.recordChanged = true
}

func (s *subscription) findStream(name string) int {
	for i, m := range s.streams {
		if m.Stream() == name {
			return i
		}
	}
	return -1
}

func (s *subscription) leave(m *hub.Member) {
	s.connection.server.hub.Leave(m)
	s.stopWaiting(m)
}

// stopWaiting takes a stream that is live, or was left, out of the pending counts.
func (s *subscription) stopWaiting(m *hub.Member) {
	if !m.Waiting {
		return
	}
	m.Waiting = false
	s.pendingStreams--
	s.connection.pendingStreams--
	if s.connection.pendingStreams == 0 {
		s.connection.callSyncs()
	}
}

// leaveAll leaves all streams, stops all timers and drops an unsent confirmation.
func (s *subscription) leaveAll() {
	s.stopTimers()
	for _, m := range s.streams {
		s.leave(m)
	}
	s.streams = nil
	s.confirmation = nil
	s.confirmed = false
	s.leaveReplay()
	s.positions = nil
}

// Live is called by the hub when a stream is live.
func (s *subscription) Live(m *hub.Member) {
	s.connection.mu.Lock()
	defer s.connection.mu.Unlock()
	s.stopWaiting(m)
	s.sendConfirmation()
}

// sendConfirmation sends the confirmation, if there is one, when every stream is live.
func (s *subscription) sendConfirmation() {
	if s.pendingStreams == 0 && s.confirmation != nil && !s.overLimit {
		s.connection.socket.Send(s.confirmation)
		s.confirmation = nil
		s.confirmed = true
		s.gaps = s.connection.server.gapsEnded.Load()
		s.connection.judgeStamp(s)
		s.startReplay()
	}
}

// needsCall reports whether Rails must see a command. It need not see a repeated
// subscribe, nor a subscribe to a channel that it does not know.
func (s *subscription) needsCall(kind protocol.Kind, now time.Time) bool {
	return kind != protocol.Subscribe || !s.wanted && now.After(s.unknownUntil)
}

// forgettable reports whether the subscription is no different from a new one.
func (s *subscription) forgettable(now time.Time) bool {
	return !s.wanted && !s.live && s.queuedCommands == 0 && now.After(s.unknownUntil)
}
