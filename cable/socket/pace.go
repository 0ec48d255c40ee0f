package socket

import "time"

// keepPace holds up the reader once the browser has sent more than a burst, so
// that its commands take their time. Nothing is dropped. Only the reader calls
// it; one number is all that has to be remembered.
func (s *Socket) keepPace() {
	limits := &s.all.limits
	if limits.CommandRate == 0 {
		return
	}
	every := time.Second / time.Duration(limits.CommandRate)
	now := time.Since(s.all.started)
	s.paced = max(s.paced, now) + every
	wait := s.paced - now - time.Duration(limits.CommandBurst)*every
	if wait <= 0 {
		return
	}
	if !s.isShut() { // else nobody is there to be slowed down
		s.all.throttled.Add("commands_per_second")
		time.Sleep(wait)
	}
}
