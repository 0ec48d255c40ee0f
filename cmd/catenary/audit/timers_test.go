package audit

import "testing"

func TestTimers_ArePeriodically(t *testing.T) {
	s := channelOf(t, "periodically :tick, every: 0.3\nperiodically(every: 5.seconds) { transmit(1) }\nperiodically every: INTERVAL do\nend\ndef tick\n periodically\nend")
	expect(t, "timers", s.Findings, "timers:2 periodically every: 0.3", "timers:3 periodically every: 5.seconds", "timers:4 periodically every: INTERVAL")
	if s.Runs != Timers {
		t.Errorf("runs %v", s.Runs)
	}
}

func TestHeartbeat_IsACallForEachConnection(t *testing.T) {
	report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend",
		"app/channels/application_cable/connection.rb", "class ApplicationCable::Connection < ActionCable::Connection::Base\n def beat\n  super\n  user.touch\n end\nend",
		"config/initializers/cable.rb", "ActionCable::Server::Connections::BEAT_INTERVAL = 10\nActionCable::Connection::Base.prepend(Module.new do\n def beat = super\nend)")
	expect(t, "connection", report.Connections[0].Findings, "heartbeat:2 def beat")
	if report.Connections[0].Runs != Timers {
		t.Errorf("runs %v", report.Connections[0].Runs)
	}
	expect(t, "elsewhere", report.Application, "heartbeat:3 def beat", "heartbeat:1 BEAT_INTERVAL")
}
