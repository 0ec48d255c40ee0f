package broadcast

import (
	"sync"

	"github.com/tidwall/redcon"
)

const (
	// namesPerCommand bounds one SUBSCRIBE, so that a storm neither costs one
	// round trip a stream nor keeps Redis busy with one endless command.
	namesPerCommand = 512

	// maxAwaited bounds the names sent but not yet acknowledged. Redis queues an
	// acknowledgement for each and cuts a subscriber off that lets 32 MB wait
	// (client-output-buffer-limit pubsub).
	maxAwaited = 8192
)

// subscriptions is what the hub wants to hear beside what Redis was told and
// has acknowledged. The two are reconciled by whoever writes to the listener's
// connection, so a stream that is left and joined again within one write costs
// nothing, and one that flaps faster than Redis answers ends as it was last
// wanted.
type subscriptions struct {
	prefix *string
	wake   chan struct{} // holds one token while there is something to write

	mu      sync.Mutex
	topics  map[string]*topic
	dirty   []*topic
	sent    []command // awaiting replies, oldest first
	awaited int       // names in sent without a reply
}

// topic is one stream's standing with Redis, guarded by subscriptions.mu.
type topic struct {
	name    string // in Redis, with prefix
	stream  string // in the app
	wanted  bool
	told    bool // the last command sent for it was SUBSCRIBE
	awaited int  // commands sent for it without a reply
	alone   bool // to be sent in a command of its own
	refused bool // Redis answered it with an error on this connection
	dirty   bool
	waiters []func()
}

// live means that Redis has answered everything that was sent for the topic,
// and the last of it was SUBSCRIBE.
func (t *topic) live() bool { return t.told && t.awaited == 0 }

// command is a SUBSCRIBE or UNSUBSCRIBE on its way. Redis answers in order,
// once for each name, or once with an error for all of them.
type command struct {
	topics  []*topic
	replies int
}

func newSubscriptions(prefix *string) *subscriptions {
	return &subscriptions{prefix: prefix, wake: make(chan struct{}, 1), topics: make(map[string]*topic)}
}

// want calls acknowledged once, as soon as Redis has confirmed the stream;
// at once if it has already.
func (s *subscriptions) want(stream string, acknowledged func()) {
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

// unwant forgets the stream and whoever still waits for it.
func (s *subscriptions) unwant(stream string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[topicOf(s.prefix, stream)]
	if t == nil {
		return
	}
	t.wanted, t.waiters = false, nil
	s.mark(t)
}

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

// next appends to buf the commands that bring Redis to what is wanted, as far
// as the bound on unanswered names allows.
func (s *subscriptions) next(buf []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var subscribe, unsubscribe []*topic
	for len(s.dirty) > 0 && s.awaited < maxAwaited {
		t := s.dirty[0]
		s.dirty = s.dirty[1:]
		t.dirty = false
		if t.wanted == t.told || t.wanted && t.refused {
			s.forgetIfIdle(t)
			continue
		}
		t.told = t.wanted
		t.awaited++
		s.awaited++
		switch {
		case !t.wanted:
			unsubscribe = append(unsubscribe, t)
		case t.alone:
			buf = s.append(buf, "SUBSCRIBE", []*topic{t})
		default:
			subscribe = append(subscribe, t)
		}
	}
	buf = s.append(buf, "UNSUBSCRIBE", unsubscribe)
	return s.append(buf, "SUBSCRIBE", subscribe)
}

func (s *subscriptions) append(buf []byte, verb string, topics []*topic) []byte {
	for len(topics) > 0 {
		n := min(len(topics), namesPerCommand)
		buf = redcon.AppendArray(buf, n+1)
		buf = redcon.AppendBulkString(buf, verb)
		for _, t := range topics[:n] {
			buf = redcon.AppendBulkString(buf, t.name)
		}
		s.sent = append(s.sent, command{topics: topics[:n]})
		topics = topics[n:]
	}
	return buf
}

// reply takes Redis' answer for one name, which must be the oldest that has
// none; if it makes a stream live, its waiters are called. False means that
// Redis and we no longer speak of the same thing.
func (s *subscriptions) reply(name []byte) bool {
	s.mu.Lock()
	if len(s.sent) == 0 || s.sent[0].topics[s.sent[0].replies].name != string(name) {
		s.mu.Unlock()
		return false
	}
	oldest := &s.sent[0]
	t := oldest.topics[oldest.replies]
	oldest.replies++
	if oldest.replies == len(oldest.topics) {
		s.sent = s.sent[1:]
	}
	s.answered(t)
	var waiters []func()
	if t.live() {
		waiters, t.waiters = t.waiters, nil
	}
	s.mu.Unlock()
	for _, acknowledged := range waiters {
		acknowledged()
	}
	return true
}

// refuse takes an error as the answer to the oldest command. Redis refuses a
// whole command for one name that the user may not hear, so many names are
// sent again each alone; a stream refused alone is returned, and stays
// unacknowledged until the next connection.
func (s *subscriptions) refuse() (stream string, refused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.sent) == 0 {
		return "", false
	}
	topics := s.sent[0].topics
	s.sent = s.sent[1:]
	for _, t := range topics {
		s.answered(t)
		if t.awaited > 0 || !t.told {
			continue
		}
		t.told, t.alone = false, true
		if len(topics) == 1 {
			t.refused, stream, refused = true, t.stream, true
			continue
		}
		s.mark(t)
	}
	return stream, refused
}

// answered takes one reply off the books.
func (s *subscriptions) answered(t *topic) {
	t.awaited--
	s.awaited--
	s.forgetIfIdle(t)
	if len(s.dirty) > 0 {
		s.wakeWriter()
	}
}

func (s *subscriptions) forgetIfIdle(t *topic) {
	if !t.wanted && !t.told && t.awaited == 0 && !t.dirty {
		delete(s.topics, t.name)
	}
}

// stream finds what a topic is called in the app; false if nobody listens.
func (s *subscriptions) stream(name []byte) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.topics[string(name)]
	if t == nil || !t.wanted {
		return "", false
	}
	return t.stream, true
}

// reset forgets what Redis knew, because the connection is gone: everything
// wanted is to be said again.
func (s *subscriptions) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent, s.awaited, s.dirty = nil, 0, nil
	for _, t := range s.topics {
		t.told, t.awaited, t.refused, t.alone, t.dirty = false, 0, false, false, false
		if t.wanted {
			s.mark(t)
		} else {
			delete(s.topics, t.name)
		}
	}
}
