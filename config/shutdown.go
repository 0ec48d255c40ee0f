package config

import "fmt"

// finishShutdown makes sure that the parts of the grace fit in it.
func (l *loading) finishShutdown() error {
	s := &l.Shutdown
	left := s.Grace - s.Delay
	if s.Delay > 0 && left <= 0 {
		return mistake(l.origins["shutdown.delay"], "shutdown.delay", fmt.Errorf("%v leaves nothing of the grace, %v: raise shutdown.grace", s.Delay, s.Grace))
	}
	if !l.Given("shutdown.drain") {
		s.Drain = min(s.Drain, left*3/5)
	}
	if s.Drain > left {
		return mistake(l.origins["shutdown.drain"], "shutdown.drain", fmt.Errorf("%v is more than the grace leaves, %v: raise shutdown.grace", s.Drain, left))
	}
	return nil
}
