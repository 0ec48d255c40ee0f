package cable

import (
	"context"
	"encoding/json"
	"regexp"
	"sync"
	"time"
)

// Whoever has connections ended by hand is told how many there were, by every
// node, on a stream that the request names.

// Met is what a node says.
type Met struct {
	Node        string `json:"node"`
	Connections int    `json:"connections"`
}

// MetStream is where answers go to who has asked by that name.
func MetStream(asked string) string { return "_catenary/met/" + asked }

var askers = regexp.MustCompile(`^[A-Z2-7]{16,40}$`) // as rand.Text makes them

const (
	metPause = 20 * time.Millisecond // in which connections are counted together
	metMost  = 1000                  // who are answered at once
)

// met counts the connections that a request has met, until they are told.
type met struct {
	mu     sync.Mutex
	counts map[string]int // by who has asked
}

// met notes that a request of that name has met so many connections more.
func (s *Server) met(asked string, connections int) {
	if s.publish == nil || !askers.MatchString(asked) {
		return
	}
	m := &s.answers
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.counts == nil {
		m.counts = map[string]int{}
	}
	if _, waits := m.counts[asked]; !waits {
		if len(m.counts) >= metMost {
			return
		}
		time.AfterFunc(metPause, func() { s.tellMet(asked) })
	}
	m.counts[asked] += connections
}

func (s *Server) tellMet(asked string) {
	m := &s.answers
	m.mu.Lock()
	payload, _ := json.Marshal(Met{s.node, m.counts[asked]})
	delete(m.counts, asked)
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.context, 5*time.Second)
	defer cancel()
	err := s.publish(ctx, MetStream(asked), payload)
	if err != nil {
		s.log.Warn("cannot tell how many connections were disconnected", "error", err)
	}
}

// askedBy is who wants to know how many connections a remote disconnect meets,
// "" for one of Rails'.
func askedBy(payload []byte) string {
	var message struct{ Asked string }
	json.Unmarshal(payload, &message)
	return message.Asked
}
