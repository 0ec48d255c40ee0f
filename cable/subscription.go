package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/hub"
	"github.com/catenary-cable/catenary/protocol"
)

// subscription is what we know of one identifier on one connection. Whether
// the browser may subscribe is decided when its command arrives (wanted),
// while Rails' view (live) follows when the command has run: so a repeated
// subscribe never reaches Rails, however slow the first one is. c.mu guards it.
type subscription struct {
	connection *Connection
	identifier string

	wanted   bool      // the browser's last command was a subscribe
	queued   int       // commands about it that Rails has not answered
	live     bool      // Rails holds it, or it is verified
	verified bool      // here, and Rails knows nothing of it: see Connection.verify
	rejected bool      // in the call that is being applied
	excess   bool      // Rails holds it, and it is over a limit: see Connection.standing
	unknown  time.Time // until then, subscribing again is not worth a call

	state   string        // Rails' own, see docs/rpc.md
	streams []*hub.Member // by name
	waiting int           // streams not yet acknowledged
	confirm []byte        // the confirmation, held back until waiting is 0
	timers  []*timer      // in Rails' order
}

// unknownFor is how long a subscribe to something that is no channel is
// remembered: clients repeat it twice a second forever.
const unknownFor = 5 * time.Second

// setLive notes whether Rails holds it. At the connection's end all are counted
// off.
func (s *subscription) setLive(live bool) {
	if s.live == live {
		return
	}
	s.live, s.connection.changed = live, true
	switch count := &s.connection.server.count.subscriptions; {
	case s.connection.ended:
	case live:
		count.Add(1)
	default:
		count.Add(-1)
	}
}

// follow starts a stream; token is nil for a plain one.
func (s *subscription) follow(name string, token *string) {
	if s.excess || s.find(name) >= 0 {
		return
	}
	c := s.connection
	m := &hub.Member{Socket: &c.socket, Subscriber: s, Token: token}
	if token != nil {
		m.Callback = func(payload string) { c.deliverTo(s, name, payload) }
	}
	s.streams, c.changed = append(s.streams, m), true
	if !c.server.hub.Join(name, s.identifier, m) {
		s.waiting, m.Waiting = s.waiting+1, true // Live needs c.mu, so it comes later
		c.pending++
	}
}

// unfollow stops a stream.
func (s *subscription) unfollow(name string) {
	i := s.find(name)
	if i < 0 {
		return
	}
	s.leave(s.streams[i])
	last := len(s.streams) - 1
	s.streams[i] = s.streams[last]
	s.streams[last] = nil
	s.streams, s.connection.changed = s.streams[:last], true
}

func (s *subscription) find(name string) int {
	for i, m := range s.streams {
		if m.Stream() == name {
			return i
		}
	}
	return -1
}

func (s *subscription) leave(m *hub.Member) {
	s.connection.server.hub.Leave(m)
	s.waited(m)
}

// waited notes that a stream is not waited for any more.
func (s *subscription) waited(m *hub.Member) {
	if m.Waiting {
		m.Waiting = false
		s.waiting--
		s.connection.pending--
		if s.connection.pending == 0 {
			s.connection.synced()
		}
	}
}

// leaveAll stops all streams and timers and forgets a confirmation not yet sent.
func (s *subscription) leaveAll() {
	s.stopTimers()
	for _, m := range s.streams {
		s.leave(m)
	}
	s.streams, s.confirm = nil, nil
}

// Live is called by the hub when a stream is live.
func (s *subscription) Live(m *hub.Member) {
	s.connection.mu.Lock()
	defer s.connection.mu.Unlock()
	s.waited(m)
	s.sendConfirm()
}

func (s *subscription) sendConfirm() {
	if s.waiting == 0 && s.confirm != nil && !s.excess {
		s.connection.socket.Send(s.confirm)
		s.confirm = nil
	}
}

// wants reports whether a subscribe is worth a call to Rails.
func (s *subscription) wants(kind protocol.Kind, now time.Time) bool {
	return kind != protocol.Subscribe || !s.wanted && now.After(s.unknown)
}

// forgettable reports that nothing is known of it that a new one would not know.
func (s *subscription) forgettable(now time.Time) bool {
	return !s.wanted && !s.live && s.queued == 0 && now.After(s.unknown)
}
