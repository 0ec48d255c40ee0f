package audit

import "testing"

func TestEventLoop_TimersNeverFire(t *testing.T) {
	s := channelOf(t, "def subscribed\n connection.server.event_loop.timer(3) { transmit(1) }\n connection.server.event_loop.post { 1 }\nend")
	expect(t, "timer", s.Findings, "event loop:3 event_loop.timer")
	if s.Runs != Never {
		t.Errorf("runs %v", s.Runs)
	}
}
