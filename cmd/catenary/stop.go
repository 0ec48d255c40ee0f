package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/catenary-cable/catenary/cable"
	"github.com/catenary-cable/catenary/config"
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
func stop(running context.Context, cfg *config.Config, ready *readiness, service *service, front *front, server *cable.Server, log *slog.Logger) *stopped {
	ready.drain()
	service.stopping()
	end := &stopped{by: time.Now().Add(cfg.Shutdown.Grace)}
	log.Info("catenary stops", "grace", cfg.Shutdown.Grace, "delay", cfg.Shutdown.Delay, "drain", cfg.Shutdown.Drain)
	grace, done := context.WithDeadline(context.Background(), end.by)
	defer done()

	select {
	case <-time.After(cfg.Shutdown.Delay):
	case <-running.Done():
	}
	over := cfg.Shutdown.Drain
	if running.Err() != nil {
		over = 0
	}
	front.leave(cfg.Proxy)
	if left, err := server.Drain(grace, over); err != nil {
		log.Warn("grace is over before Rails knew of every end", "connections", left)
	}
	front.stop(grace, cfg.Proxy)
	return end
}
