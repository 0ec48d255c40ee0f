package faults

import (
	"fmt"
	"net/http"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// What is admitted works, the rest is rejected with a clear answer, and catenary recovers by
// itself.
var loadFaults = []*fault{
	{
		name: "twice as many browsers as the limit allows: the others get 503 until some disconnect",
		setUp: func(s *rig) {
			s.flags = []string{"--limits-max-connections", fmt.Sprint(proxiedBrowsers + directBrowsers + 5)}
		},
		inject: crowdIn,
		repair: func(s *rig) {
			for _, b := range s.crowd {
				b.Close()
			}
		},
	},
	{
		name: "more commands than backend.queue holds",
		setUp: func(s *rig) {
			s.startOwnApp("LAB_WORKERS=1")
			s.flags = []string{"--backend-queue", "2"}
		},
		inject:  func(s *rig) {},
		seconds: 0.2,
		during: func(s *rig) {
			if !stage.Await(func() bool { return s.metric(`catenary_connections_ended_total{reason="rails_failed"}`) > 0 }) {
				s.Error("no browser was disconnected when the queue was full")
			}
		},
		reconnect: everyone,
	},
	{
		name:    "more commands than Rails has threads: web requests do not wait for them",
		setUp:   func(s *rig) { s.startOwnApp() },
		inject:  func(s *rig) {},
		seconds: 1,
		during: func(s *rig) {
			for range 10 {
				if err := s.app.Ask("GET /up"); err != nil {
					s.Error(err)
				}
			}
			if every(s.recorders, allAnswered) {
				s.Error("the web requests were answered only after all commands")
			}
		},
	},
	{
		name:   "ten thousand broadcasts at once",
		inject: func(s *rig) { s.burst(10_000) },
		during: func(s *rig) { s.settle(s.recorders...) },
	},
}

// crowdIn opens as many connections as the limit allows, in addition to those that are open.
func crowdIn(s *rig) {
	rejected := 0
	for i := range proxiedBrowsers + directBrowsers + 5 {
		b, err := stage.Dial(s.catenary.Address, stage.Handshake("GET", fmt.Sprintf("/cable?uid=crowd-%d", i), s.catenary.Address, nil))
		s.must(err)
		s.crowd = append(s.crowd, b)
		s.Cleanup(b.Close)
		switch b.Response.StatusCode {
		case http.StatusSwitchingProtocols:
		case http.StatusServiceUnavailable:
			rejected++
			if b.Response.Header.Get("Retry-After") == "" {
				s.Error("503 without Retry-After")
			}
		default:
			s.Errorf("a browser over the limit was answered with %s", b.Response.Status)
		}
	}
	if rejected != proxiedBrowsers+directBrowsers {
		s.Errorf("%d browsers were rejected", rejected)
	}
	if counted := s.metric(`catenary_handshakes_rejected_total{reason="max_connections"}`); counted < float64(rejected) {
		s.Errorf("the metric counts %g of %d rejected handshakes", counted, rejected)
	}
}

// burst publishes numbers in one pipeline.
func (s *rig) burst(numbers int) {
	s.publishLock.Lock()
	defer s.publishLock.Unlock()
	pipeline := s.redis.Client.Pipeline()
	for range numbers {
		pipeline.Publish(s.Context(), s.stream, fmt.Sprintf(`{"n":%d}`, s.published.Add(1)))
	}
	commands, err := pipeline.Exec(s.Context())
	s.must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := int(s.published.Load())
	for n := last - len(commands) + 1; n <= last; n++ {
		s.accepted[n] = true
	}
}
