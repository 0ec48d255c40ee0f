package audit

import "testing"

func TestServerConnections_AreNotRails(t *testing.T) {
	s := channelOf(t, "def count\n transmit \"#{ActionCable.server.connections.size} online\"\n ActionCable.server.remote_connections.where(user: 1).disconnect\nend")
	expect(t, "channel", s.Findings, "server connections:3 ActionCable.server.connections")
	if s.Runs != Never {
		t.Errorf("runs %v", s.Runs)
	}
	report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend",
		"app/controllers/stats_controller.rb", "class StatsController\n def show\n  render json: ActionCable.server.open_connections_statistics\n  ActionCable.server.connections&.count\n end\nend",
		"app/channels/application_cable/connection.rb", "class ApplicationCable::Connection < ActionCable::Connection::Base\n def connect\n  server.connections.each(&:close)\n end\nend")
	expect(t, "elsewhere", report.Application, "server connections:3 open_connections_statistics", "server connections:4 ActionCable.server.connections")
	expect(t, "connection", report.Connections[0].Findings, "server connections:3 ActionCable.server.connections")
	if !report.Fails() || report.Summary() != "audit: 1 channel, 1 plain, 3 things elsewhere cannot work" {
		t.Error(report.Summary())
	}
}
