package main

import (
	"context"
	"fmt"
	"time"
)

// stopped is why everything ends once browsers and Rails have been told.
type stopped struct {
	by time.Time // when the grace is over
}

func (s *stopped) Error() string { return fmt.Sprintf("catenary has stopped, until %v", s.by) }

// stop ends in order what others see of us. /ready says no; for the delay that is
// all. Then no handshake is let in, browsers are told one by one, Rails hears of
// their ends, and requests of the web that are under way are seen through. If
// running has ended, a part of us or Rails is gone: nothing is waited for.
func (a *assembly) stop() *stopped {
	shutdown, web := a.cfg.Shutdown, a.cfg.Proxy
	a.ready.drain()
	a.service.stopping()
	end := &stopped{by: time.Now().Add(shutdown.Grace)}
	a.log.Info("catenary stops", "grace", shutdown.Grace, "delay", shutdown.Delay, "drain", shutdown.Drain)
	grace, done := context.WithDeadline(context.Background(), end.by)
	defer done()

	if a.server == nil { // and no browser was let in
		a.front.leave(web)
		a.front.stop(grace, web)
		return end
	}
	select {
	case <-time.After(shutdown.Delay):
	case <-a.running.Done():
	}
	over := shutdown.Drain
	if a.running.Err() != nil {
		over = 0
	}
	a.front.leave(web)
	if left, err := a.server.Drain(grace, over); err != nil {
		a.log.Warn("grace is over before Rails knew of every end", "connections", left)
	}
	a.front.stop(grace, web)
	return end
}
