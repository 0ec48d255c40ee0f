package audit

import "testing"

func TestGraphql_PinsChannelsThatGiveThemselvesToASchemaOverActionCable(t *testing.T) {
	const execute = "class GraphqlChannel < ApplicationCable::Channel\n def execute(data)\n  AppSchema.execute(data['query'], context: { channel: self, current_user: current_user })\n end\nend"
	for schema, want := range map[string][]string{
		"use GraphQL::Subscriptions::ActionCableSubscriptions, redis: 1": {"graphql-ruby:3 channel: self"},
		"use GraphQL::AnyCable, broadcast: true":                         {},
	} {
		report := auditOf(t, "app/channels/graphql_channel.rb", execute, "app/graphql/app_schema.rb", "class AppSchema < GraphQL::Schema\n "+schema+"\nend")
		expect(t, schema, report.Channels[0].Findings, want...)
		if len(report.Application) != len(want) {
			t.Errorf("%s: %q", schema, told(report.Application))
		}
	}
	report := auditOf(t, "app/channels/graphql_channel.rb", "class GraphqlChannel < ApplicationCable::Channel\n def execute(data)\n  c = { :channel => self }\n  c[:channel] = self\n end\nend",
		"lib/subs.rb", "class Subs < ::GraphQL::Subscriptions::ActionCableSubscriptions\nend")
	expect(t, "other spellings", report.Channels[0].Findings, "graphql-ruby:3 channel: self", "graphql-ruby:4 channel: self")
}
