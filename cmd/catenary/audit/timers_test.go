package audit

import "testing"

func TestTimers_ArePeriodically(t *testing.T) {
	s := channelOf(t, "periodically :tick, every: 0.3\nperiodically(every: 5.seconds) { transmit(1) }\nperiodically every: INTERVAL do\nend\ndef tick\n periodically\nend")
	expect(t, "timers", s.Findings, "timers:2 periodically every: 0.3", "timers:3 periodically every: 5.seconds", "timers:4 periodically every: INTERVAL")
	if s.Runs != Timers {
		t.Errorf("runs %v", s.Runs)
	}
}
