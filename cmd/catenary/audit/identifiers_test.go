package audit

import "testing"

func TestIdentifiers_MustBeRecordsOrScalars(t *testing.T) {
	for value, want := range map[string][]string{
		"User.find(1)":           {},
		"request.params[:token]": {},
		"User.new":               {},
		"Guest.new(1)":           {"identified_by:4 who = Guest"},
		"Located.new":            {},
		"Struct.new(:id).new(1)": {},
		"OpenStruct.new(id: 1)":  {"identified_by:4 who = OpenStruct"},
		"-> { 1 }":               {"identified_by:4 who = a Proc"},
		"User.where(id: 1)":      {"identified_by:4 who = a relation"},
	} {
		report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend",
			"app/channels/application_cable/connection.rb", "class ApplicationCable::Connection < ActionCable::Connection::Base\n identified_by :who\n def connect\n  self.who = "+value+"\n end\nend",
			"app/models/user.rb", "class User < ApplicationRecord\nend",
			"app/models/guest.rb", "class Guest\n include Comparable\nend",
			"app/models/located.rb", "class Located\n include GlobalID::Identification\nend",
		)
		expect(t, value, report.Connections[0].Findings, want...)
	}
}
