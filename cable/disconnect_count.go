package cable

import (
	"context"
	"encoding/json"
	"regexp"
	"sync"
	"time"
)

// A request to disconnect may have a name. Then every node that closes connections for
// it publishes how many, on a stream with the request's name.

// DisconnectCount is what a node publishes.
type DisconnectCount struct {
	Node        string `json:"node"`
	Connections int    `json:"connections"`
}

// DisconnectCountStream is where nodes publish their counts for a request.
func DisconnectCountStream(request string) string { return "_catenary/disconnected/" + request }

// requestName matches what rand.Text returns.
var requestName = regexp.MustCompile(`^[A-Z2-7]{16,40}$`)

const (
	countPause  = 20 * time.Millisecond // before a count is published, to add up connections
	maxRequests = 1000                  // counted at the same time; further ones get no count
)

// disconnectCounts are the counts that are not yet published.
type disconnectCounts struct {
	mu     sync.Mutex
	counts map[string]int // by request
}

// countDisconnected adds connections to the count of a request, which is published
// after countPause.
func (s *Server) countDisconnected(request string, connections int) {
	if s.publish == nil || !requestName.MatchString(request) {
		return
	}
	d := &s.disconnectCounts
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.counts == nil {
		d.counts = map[string]int{}
	}
	if _, known := d.counts[request]; !known {
		if len(d.counts) >= maxRequests {
			return
		}
		time.AfterFunc(countPause, func() { s.publishDisconnectCount(request) })
	}
	d.counts[request] += connections
}

func (s *Server) publishDisconnectCount(request string) {
	d := &s.disconnectCounts
	d.mu.Lock()
	payload, _ := json.Marshal(DisconnectCount{s.node, d.counts[request]})
	delete(d.counts, request)
	d.mu.Unlock()
	ctx, cancel := context.WithTimeout(s.context, 5*time.Second)
	defer cancel()
	err := s.publish(ctx, DisconnectCountStream(request), payload)
	if err != nil {
		s.log.Warn("failed to report how many connections were disconnected", "error", err)
	}
}

// requestOf returns the name of the request behind a remote disconnect, or "" for one
// of Rails' own.
func requestOf(payload []byte) string {
	var message struct{ Asked string }
	json.Unmarshal(payload, &message)
	return message.Asked
}
