package socket

import "time"

// throttle delays the reader after a message that exceeds CommandRate and CommandBurst. Nothing is
// dropped. Only the reader calls it.
//
// It is a token bucket in one number: at exactly CommandRate, the messages so far would last until
// paidUntil.
func (s *Socket) throttle() {
	limits := &s.shared.limits
	if limits.CommandRate == 0 {
		return
	}
	perMessage := time.Second / time.Duration(limits.CommandRate)
	now := time.Since(s.shared.started)
	s.paidUntil = max(s.paidUntil, now) + perMessage
	wait := s.paidUntil - now - time.Duration(limits.CommandBurst)*perMessage
	if wait <= 0 {
		return
	}
	if !s.isShut() { // a closing connection is read to its end at once
		s.shared.throttled.Add("commands_per_second")
		time.Sleep(wait)
	}
}
