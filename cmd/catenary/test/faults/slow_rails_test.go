package faults

import (
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestFault_ASlowRailsIsGivenFewerCallsAtOnce: actions take 150 times as long for a while, and then as long as before. A request of
// the web is answered all the time.
func TestFault_ASlowRailsIsGivenFewerCallsAtOnce(t *testing.T) {
	t.Parallel()
	s := &rig{T: t, stream: "slow-rails", reached: map[int]bool{}}
	s.startOwnApp()
	s.start()
	s.riders = s.join(ridersThere, s.catenary.Address)
	defer func() {
		for _, r := range s.riders {
			r.leave()
			<-r.left
		}
	}()
	if !stage.Await(func() bool { return every(s.riders, nowSubscribed) }) {
		t.Fatal("browsers are not subscribed")
	}
	// until has all of them act all the time, for as long as it takes.
	until := func(what string, seconds float64, holds func(limit float64) bool) {
		t.Helper()
		var slowest time.Duration
		var acting sync.WaitGroup
		done := make(chan struct{})
		for _, r := range s.riders {
			acting.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					r.act(seconds)
					stage.Await(func() bool { return r.is(allAnswered) })
				}
			})
		}
		ok := stage.Await(func() bool {
			asked := time.Now()
			if _, err := stage.Get(s.app.URL() + "/up"); err != nil {
				t.Errorf("%s, a request of the web: %v", what, err)
			}
			slowest = max(slowest, time.Since(asked))
			return holds(s.metric("catenary_calls_limit"))
		})
		close(done)
		acting.Wait()
		t.Logf("%s: the web waited for %v at most", what, slowest.Round(time.Millisecond))
		if !ok {
			t.Fatalf("%s: %v calls may be in flight", what, s.metric("catenary_calls_limit"))
		}
	}
	began := time.Now()
	until("fast", 0, func(limit float64) bool { return limit == 4 && time.Since(began) > 4*time.Second })
	until("slow", 0.3, func(limit float64) bool { return limit == 1 })
	until("fast again", 0, func(limit float64) bool { return limit == 4 })
}
