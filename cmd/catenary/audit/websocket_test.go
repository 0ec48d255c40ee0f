package audit

import (
	"strings"
	"testing"
)

func TestWebsocket_IsOutOfReach(t *testing.T) {
	for _, code := range []string{"connection.instance_variable_get(:@websocket)", "connection.instance_variable_get \"@websocket\"", "connection.send(:websocket)", "connection.websocket"} {
		s := channelOf(t, "def peek\n"+code+"\nend")
		expect(t, code, s.Findings, "@websocket:3 @websocket")
		if s.Runs != PassThrough {
			t.Errorf("%s runs %v", code, s.Runs)
		}
	}
	expect(t, "others", channelOf(t, "def peek\n connection.instance_variable_get(:@env)\n websocket\nend").Findings)
}

func TestWebsocket_OfTheConnectionCanBeLeftToRails(t *testing.T) {
	files := []string{aChannel, "class AChannel < ApplicationCable::Channel\nend",
		"app/channels/application_cable/connection.rb", "class ApplicationCable::Connection < ActionCable::Connection::Base\n def peek = @websocket\nend"}
	report := auditOf(t, files...)
	if f := report.Connections[0].Findings[0]; !strings.HasPrefix(f.Advice, "pass_through: all;") || !report.Fails() {
		t.Errorf("got %+v", f)
	}
	if report := auditOf(t, append(files, "config/catenary.yml", "production:\n  pass_through: all\n")...); report.Fails() {
		t.Error("fails although all is passed through")
	}
}
