package audit

import "testing"

func TestTurbo_ChecksStayInRails(t *testing.T) {
	report := auditOf(t, "app/channels/turbo/streams_channel.rb", "class Turbo::StreamsChannel < ApplicationCable::Channel\nend",
		"config/initializers/turbo.rb", "Rails.application.config.to_prepare do\n Turbo::StreamsChannel.prepend Authorized\n Turbo::StreamsChannel.broadcast_to 1\nend")
	expect(t, "own", report.Channels[0].Findings, "turbo:1 class Turbo::StreamsChannel")
	expect(t, "reopened", report.Application, "turbo:2 Turbo::StreamsChannel.prepend")
	if report.Fails() {
		t.Error("fails")
	}
}
