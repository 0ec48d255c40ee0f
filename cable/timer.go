package cable

import (
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// timer is one of a channel's periodic timers, as in Rails'
// actioncable/lib/action_cable/channel/periodic_timers.rb, or the heartbeat of
// a connection. Its block runs in Rails; the time is kept here. A tick is left
// out while the last one is under way. c.mu guards it.
type timer struct {
	*time.Timer
	underway bool
}

// shortest bounds how often an app may have us call.
const shortest = 50 * time.Millisecond

// setTimers starts the timers that Rails lists, in seconds, once.
func (s *subscription) setTimers(intervals []float64) {
	for i := len(s.timers); i < len(intervals); i++ {
		every := max(time.Duration(intervals[i]*float64(time.Second)), shortest)
		t := &timer{}
		s.timers = append(s.timers, t)
		t.Timer = time.AfterFunc(every, func() { s.tick(i, t, every) })
	}
}

func (s *subscription) tick(i int, t *timer, every time.Duration) {
	c := s.connection
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || i >= len(s.timers) || s.timers[i] != t {
		return
	}
	t.Reset(every)
	if !t.underway {
		t.underway = true
		c.enqueue(queuedCall{call: rpc.Call{Do: rpc.Tick, Channel: s.identifier, Timer: i}, tick: t})
	}
}

// setBeat starts the heartbeat of an app that has changed it, once. The pings
// are sent all the same, by the sockets. c.mu is held.
func (c *Connection) setBeat(seconds float64) {
	if seconds <= 0 || c.beating != nil || c.ended {
		return
	}
	every := max(time.Duration(seconds*float64(time.Second)), shortest)
	t := &timer{}
	c.beating = t
	t.Timer = time.AfterFunc(every, func() { c.beat(t, every) })
}

func (c *Connection) beat(t *timer, every time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return
	}
	t.Reset(every)
	if !t.underway {
		t.underway = true
		c.enqueue(queuedCall{call: rpc.Call{Do: rpc.Beat}, tick: t})
	}
}

func (s *subscription) stopTimers() {
	for _, t := range s.timers {
		t.Stop()
	}
	s.timers = nil
}
