package audit

import "testing"

func TestThreads_AreNoTrouble(t *testing.T) {
	s := channelOf(t, "POOL = Thread.new { }\ndef later\n Thread.new { transmit 1 }\n Concurrent::Promises.future { transmit 2 }\nend")
	expect(t, "threads", s.Findings, "threads:4 Thread.new", "threads:5 Concurrent::Promises.future")
	if s.Runs != Plain {
		t.Errorf("runs %v", s.Runs)
	}
}
