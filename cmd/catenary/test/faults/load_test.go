package faults

import (
	"fmt"
	"net/http"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// What is admitted works, the rest is refused clearly, and it recovers by itself.
var loadFaults = []*fault{
	{
		name: "twice as many browsers as may be there: the others are answered 503 until some have left",
		lay: func(s *rig) {
			s.flags = []string{"--limits-max-connections", fmt.Sprint(ridersBehind + ridersThere + 5)}
		},
		strike: crowdIn,
		mend: func(s *rig) {
			for _, b := range s.crowd {
				b.Close()
			}
		},
	},
	{
		name: "more commands than may wait",
		lay: func(s *rig) {
			s.startOwnApp("LAB_WORKERS=1")
			s.flags = []string{"--backend-queue", "2"}
		},
		strike:  func(s *rig) {},
		seconds: 0.2,
		during: func(s *rig) {
			if !stage.Await(func() bool { return s.metric(`catenary_connections_ended_total{reason="rails_failed"}`) > 0 }) {
				s.Error("nobody was told that there is no room for a command")
			}
		},
		ends: everyone,
	},
	{
		name:    "more commands than Rails has threads for: requests of the web do not wait for them",
		lay:     func(s *rig) { s.startOwnApp() },
		strike:  func(s *rig) {},
		seconds: 1,
		during: func(s *rig) {
			for range 10 {
				if err := s.app.Ask("GET /up"); err != nil {
					s.Error(err)
				}
			}
			if every(s.riders, allAnswered) {
				s.Error("the web was answered when no command was left")
			}
		},
	},
	{
		name:   "ten thousand broadcasts at once",
		strike: func(s *rig) { s.burst(10_000) },
		during: func(s *rig) { s.settle(s.riders...) },
	},
}

// crowdIn has as many come as there is room for, besides those who are there.
func crowdIn(s *rig) {
	refused := 0
	for i := range ridersBehind + ridersThere + 5 {
		b, err := stage.Dial(s.catenary.Address, stage.Handshake("GET", fmt.Sprintf("/cable?uid=crowd-%d", i), s.catenary.Address, nil))
		s.must(err)
		s.crowd = append(s.crowd, b)
		s.Cleanup(b.Close)
		switch b.Response.StatusCode {
		case http.StatusSwitchingProtocols:
		case http.StatusServiceUnavailable:
			if refused++; b.Response.Header.Get("Retry-After") == "" {
				s.Error("503, and nothing says when to come again")
			}
		default:
			s.Errorf("a browser too many was answered %s", b.Response.Status)
		}
	}
	if refused != ridersBehind+ridersThere {
		s.Errorf("%d browsers were refused", refused)
	}
	if counted := s.metric(`catenary_handshakes_rejected_total{reason="max_connections"}`); counted < float64(refused) {
		s.Errorf("%g refusals are counted of %d", counted, refused)
	}
}

// burst publishes numbers as fast as Redis takes them.
func (s *rig) burst(numbers int) {
	s.holding.Lock()
	defer s.holding.Unlock()
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
		s.reached[n] = true
	}
}
