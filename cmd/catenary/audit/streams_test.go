package audit

import (
	"strings"
	"testing"
)

func TestStreamBlocks_AreWhatOnlyRubyCanDeliver(t *testing.T) {
	for code, want := range map[string]string{
		"stream_from 'a'":                                                      "",
		"stream_from(\"a_#{params[:id]}\")":                                    "",
		"stream_for room if room":                                              "",
		"stream_from 'a', nil, coder: ActiveSupport::JSON":                     "",
		"stream_from 'a', coder: nil":                                          "",
		"rooms.each { |room| stream_for room }":                                "",
		"rooms.each do |room|\n stream_for room\nend":                          "",
		"stream_from name { 1 }":                                               "", // the block is name's
		"stream_from('a') { |m| transmit m }":                                  "with a block",
		"stream_from 'a' do |m|\n transmit m\nend":                             "with a block",
		"stream_from 'a', coder: ActiveSupport::JSON do |m|\n transmit m\nend": "with a block",
		"stream_for room, coder: ActiveSupport::JSON, &block":                  "with a block",
		"stream_for room, ->(m) { transmit m }":                                "with a callback",
		"stream_from('a', method(:received))":                                  "with a callback",
		"stream_for(room, lambda { |m| m }) if x":                              "with a callback",
		"stream_from 'a',\n  coder: Msgpack::Coder":                            "with coder Msgpack::Coder",
		"self.stream_from 'a', :coder => MyCoder":                              "with coder MyCoder",
		"stream_from 'a', **options":                                           "with arguments that only Ruby knows",
		"stream_or_reject_for room do |m|\nend":                                "with a block",
		"\"#{stream_from('a') { |m| m }}\"":                                    "with a block",
		"# stream_from('a') { |m| m }":                                         "",
		"<<~TEXT\n  stream_from('a') { |m| m }\nTEXT":                          "",
		"ActionCable.server.pubsub.subscribe('a', ->(m) { transmit m })":       "pubsub.subscribe",
	} {
		s := channelOf(t, "def subscribed\n"+code+"\nend")
		switch {
		case want == "" && len(s.Findings) > 0, want != "" && (len(s.Findings) != 1 || !strings.HasSuffix(s.Findings[0].Code, want) || s.Runs != Pinned):
			t.Errorf("%s\n got %q, runs %v\nwant %q", code, told(s.Findings), s.Runs, want)
		}
	}
}

func TestStreamBlocks_MayBeOpenedByOthersForAChannel(t *testing.T) {
	queries := "class Queries\n def self.add(channel)\n  ActionCable # speaks of it\n  channel.stream_from('q') { |m| m }\n end\nend"
	for code, want := range map[string][]string{
		"Queries.add(self)":                 {"stream blocks:3 Queries gets the channel"},
		"Queries.add self":                  {"stream blocks:3 Queries gets the channel"},
		"Queries.add(self.class)":           {},
		"Queries.add(current_user.channel)": {},
	} {
		report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\n def subscribed\n  "+code+"\n end\nend", "app/models/queries.rb", queries)
		expect(t, code, report.Channels[0].Findings, want...)
		expect(t, code, report.Application, "stream blocks:4 stream_from with a block")
	}
}

func TestDelivery_PinsIfTheChannelSeesItsMessages(t *testing.T) {
	expect(t, "transmit", channelOf(t, "def transmit(data, via: nil)\n super\nend").Findings, "delivery:2 def transmit")
	expect(t, "class method", channelOf(t, "def self.transmit(data)\nend").Findings)
	report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend",
		"app/channels/application_cable/connection.rb", "class ApplicationCable::Connection < ActionCable::Connection::Base\n def transmit(m) = super\nend")
	expect(t, "connection", report.Connections[0].Findings, "delivery:2 def transmit")
}

func TestDelivery_PinsIfRailsOwnClassSeesMessages(t *testing.T) {
	for code, want := range map[string][]string{
		"module Stamp\n def transmit(data, via: nil) = super\nend\nActionCable::Channel::Base.prepend Stamp":                       {"delivery:2 def transmit"},
		"ActiveSupport.on_load(:action_cable_channel) do\n prepend(Module.new { def transmit(data, via: nil) = super })\nend":      {"delivery:2 def transmit"},
		"class ActionCable::Connection::Base\n def transmit(frame)\n end\nend":                                                     {"delivery:2 def transmit"},
		"module ActionCable\n module Channel\n  class Base\n   def stream_handler(*)\n   end\n  end\n end\nend":                    {"delivery:4 def stream_handler"},
		"module Stamp\n def transmit(data) = ActionCable.server.broadcast('a', data)\nend":                                         {},
		"ActiveSupport::Notifications.subscribe('transmit.action_cable') { |event| Meter.add event }":                              {"notifications:1 transmit.action_cable"},
		"ActiveSupport.on_load(:action_cable_connection) { prepend(Module.new { def on_open = Trace.span('open') { super } }) }\n": {},
	} {
		report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend", "config/initializers/cable.rb", code)
		expect(t, code, report.Application, want...)
	}
}
