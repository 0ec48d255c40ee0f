package cable

import (
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// timer is a channel's periodic timer, as in Rails'
// actioncable/lib/action_cable/channel/periodic_timers.rb, or the heartbeat of a
// connection. catenary keeps the time, Rails runs the block. A tick is skipped
// while the last one is queued or runs. c.mu guards it.
type timer struct {
	*time.Timer
	inFlight bool
}

// minInterval bounds how often an app's timer can cause a call.
const minInterval = 50 * time.Millisecond

func interval(seconds float64) time.Duration {
	return max(time.Duration(seconds*float64(time.Second)), minInterval)
}

// setTimers starts the timers that Rails lists, in seconds, unless they run already.
func (s *subscription) setTimers(intervals []float64) {
	for i := len(s.timers); i < len(intervals); i++ {
		every := interval(intervals[i])
		t := &timer{}
		s.timers = append(s.timers, t)
		t.Timer = time.AfterFunc(every, func() { s.tick(i, t, every) })
	}
}

func (s *subscription) tick(i int, t *timer, every time.Duration) {
	c := s.connection
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || i >= len(s.timers) || s.timers[i] != t {
		return
	}
	t.Reset(every)
	if !t.inFlight {
		t.inFlight = true
		c.enqueue(&queuedCall{call: rpc.Call{Do: rpc.Tick, Channel: s.identifier, Timer: i}, timer: t})
	}
}

func (s *subscription) stopTimers() {
	for _, t := range s.timers {
		t.Stop()
	}
	s.timers = nil
}

// startHeartbeat has Rails run Connection#beat regularly if the app overrides it. The
// sockets send their pings regardless. c.mu is held.
func (c *Connection) startHeartbeat(seconds float64) {
	if seconds <= 0 || c.heartbeat != nil || c.closed {
		return
	}
	every := interval(seconds)
	t := &timer{}
	c.heartbeat = t
	t.Timer = time.AfterFunc(every, func() { c.beat(t, every) })
}

func (c *Connection) beat(t *timer, every time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	t.Reset(every)
	if !t.inFlight {
		t.inFlight = true
		c.enqueue(&queuedCall{call: rpc.Call{Do: rpc.Beat}, timer: t})
	}
}
