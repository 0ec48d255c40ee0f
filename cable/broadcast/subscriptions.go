package broadcast

import (
	"sync"

	"github.com/tidwall/redcon"
)

const (
	// namesPerCommand is the most names in one SUBSCRIBE, so that a storm of subscribes neither
	// costs one command per stream nor blocks Redis with a single huge one.
	namesPerCommand = 512

	// maxUnanswered is the most names sent and not yet acknowledged. Redis queues an acknowledgement
	// for each, and disconnects a subscriber for which more than 32 MB are queued
	// (client-output-buffer-limit pubsub).
	maxUnanswered = 8192
)

// subscriptions holds which streams the hub wants, and which Redis was asked for and has
// acknowledged. The listener's writer sends the commands that make up the difference. So leaving and
// joining a stream between two writes costs nothing, and a stream that changes faster than Redis
// answers ends up as the hub last wanted it.
type subscriptions struct {
	prefix *string
	wake   chan struct{} // holds one token while there is something to write

	mu         sync.Mutex
	topics     map[string]*topic
	dirty      []*topic  // topics that may need a command
	sent       []command // those not fully answered, oldest first
	unanswered int       // names in sent without an answer
}

// topic is one stream as Redis knows it. subscriptions.mu guards it.
type topic struct {
	name       string // in Redis, with prefix
	stream     string // in the app
	wanted     bool
	subscribed bool     // the last command sent for it was SUBSCRIBE
	unanswered int      // commands sent for it without an answer
	alone      bool     // to be sent in a command of its own
	denied     bool     // Redis answered with an error on this connection
	dirty      bool     // in subscriptions.dirty
	waiters    []func() // acknowledgements to call when it is live
}

// live reports whether Redis has answered every command for the topic and the last was SUBSCRIBE.
func (t *topic) live() bool { return t.subscribed && t.unanswered == 0 }

// command is a SUBSCRIBE or UNSUBSCRIBE that Redis has not fully answered. Redis answers commands in
// order, once per name, or with one error for all names.
type command struct {
	topics  []*topic
	answers int // so far
}

func newSubscriptions(prefix *string) *subscriptions {
	return &subscriptions{prefix: prefix, wake: make(chan struct{}, 1), topics: make(map[string]*topic)}
}

// subscribe calls acknowledged once: immediately if the stream is live, otherwise when it is.
func (s *subscriptions) subscribe(stream string, acknowledged func()) {
	s.mu.Lock()
	name := topicOf(s.prefix, stream)
	t := s.topics[name]
	if t == nil {
		t = &topic{name: name, stream: stream}
		s.topics[name] = t
	}
	t.wanted = true
	if t.live() {
		s.mu.Unlock()
		acknowledged()
		return
	}
	t.waiters = append(t.waiters, acknowledged)
	s.mark(t)
	s.mu.Unlock()
}

// unsubscribe leaves a stream and drops the acknowledgements still due for it.
func (s *subscriptions) unsubscribe(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[topicOf(s.prefix, stream)]
	if t == nil {
		return
	}
	t.wanted = false
	t.waiters = nil
	s.mark(t)
}

// mark has the writer send what a topic needs. s.mu is held.
func (s *subscriptions) mark(t *topic) {
	if t.dirty {
		return
	}
	t.dirty = true
	s.dirty = append(s.dirty, t)
	s.wakeWriter()
}

func (s *subscriptions) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// commands returns the commands that subscribe and unsubscribe as wanted, as far as maxUnanswered
// allows. The caller must send them.
func (s *subscriptions) commands() (commands []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var subscribe, unsubscribe []*topic
	for len(s.dirty) > 0 && s.unanswered < maxUnanswered {
		t := s.dirty[0]
		s.dirty = s.dirty[1:]
		t.dirty = false
		if t.wanted == t.subscribed || t.wanted && t.denied {
			s.forgetIfIdle(t)
			continue
		}
		t.subscribed = t.wanted
		t.unanswered++
		s.unanswered++
		switch {
		case !t.wanted:
			unsubscribe = append(unsubscribe, t)
		case t.alone:
			commands = s.appendCommand(commands, "SUBSCRIBE", []*topic{t})
		default:
			subscribe = append(subscribe, t)
		}
	}
	commands = s.appendCommand(commands, "UNSUBSCRIBE", unsubscribe)
	return s.appendCommand(commands, "SUBSCRIBE", subscribe)
}

func (s *subscriptions) appendCommand(b []byte, verb string, topics []*topic) []byte {
	for len(topics) > 0 {
		n := min(len(topics), namesPerCommand)
		b = redcon.AppendArray(b, n+1)
		b = redcon.AppendBulkString(b, verb)
		for _, t := range topics[:n] {
			b = redcon.AppendBulkString(b, t.name)
		}
		s.sent = append(s.sent, command{topics: topics[:n]})
		topics = topics[n:]
	}
	return b
}

// answered takes Redis' answer for one name, which must be the first unanswered name of the oldest
// command: it reports false for any other. If the stream is live now, it calls the acknowledgements.
func (s *subscriptions) answered(name []byte) bool {
	s.mu.Lock()
	if len(s.sent) == 0 || s.sent[0].topics[s.sent[0].answers].name != string(name) {
		s.mu.Unlock()
		return false
	}
	oldest := &s.sent[0]
	t := oldest.topics[oldest.answers]
	oldest.answers++
	if oldest.answers == len(oldest.topics) {
		s.sent = s.sent[1:]
	}
	s.countAnswer(t)
	var waiters []func()
	if t.live() {
		waiters = t.waiters
		t.waiters = nil
	}
	s.mu.Unlock()
	for _, acknowledged := range waiters {
		acknowledged()
	}
	return true
}

// denied takes an error as the answer to the oldest command. Redis rejects the whole command if an
// ACL denies one of its names, so the names are sent again, each alone. If the command had only one
// name, denied returns its stream, which stays unacknowledged on this connection.
func (s *subscriptions) denied() (stream string, denied bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		return "", false
	}
	topics := s.sent[0].topics
	s.sent = s.sent[1:]
	for _, t := range topics {
		s.countAnswer(t)
		if t.unanswered > 0 || !t.subscribed {
			continue
		}
		t.subscribed = false
		t.alone = true
		if len(topics) == 1 {
			t.denied = true
			return t.stream, true
		}
		s.mark(t)
	}
	return "", false
}

// countAnswer notes that one command for the topic is answered. s.mu is held.
func (s *subscriptions) countAnswer(t *topic) {
	t.unanswered--
	s.unanswered--
	s.forgetIfIdle(t)
	if len(s.dirty) > 0 {
		s.wakeWriter()
	}
}

func (s *subscriptions) forgetIfIdle(t *topic) {
	if !t.wanted && !t.subscribed && t.unanswered == 0 && !t.dirty {
		delete(s.topics, t.name)
	}
}

// stream returns the app's name for a topic, and false if the stream is not wanted.
func (s *subscriptions) stream(name []byte) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[string(name)]
	if t == nil || !t.wanted {
		return "", false
	}
	return t.stream, true
}

// reset has the next connection subscribe to every wanted stream again.
func (s *subscriptions) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = nil
	s.unanswered = 0
	s.dirty = nil
	for _, t := range s.topics {
		if !t.wanted {
			delete(s.topics, t.name)
			continue
		}
		*t = topic{name: t.name, stream: t.stream, wanted: true, waiters: t.waiters}
		s.mark(t)
	}
}
