package socket

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/catenary-cable/catenary/cable/stats"
)

func TestThrottle_DelaysMessagesAfterABurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttled := stats.NewThrottledCounter("throttled", slog.New(slog.DiscardHandler))
		shared := &Sockets{limits: Limits{CommandRate: 100, CommandBurst: 20}, throttled: throttled, started: time.Now()}
		s := &Socket{shared: shared}
		begin := time.Now()
		for range 20 {
			s.throttle()
		}
		if took := time.Since(begin); took != 0 {
			t.Errorf("a burst took %v", took)
		}
		for range 40 {
			s.throttle()
		}
		if took := time.Since(begin); took != 400*time.Millisecond {
			t.Errorf("60 commands, 20 of them at once, at 100 a second took %v", took)
		}
		if n := throttled.Counts()["commands_per_second"]; n != 40 {
			t.Errorf("%d messages counted, want 40", n)
		}
	})
}
