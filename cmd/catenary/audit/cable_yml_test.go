package audit

import "testing"

func TestCableYML_NeedsAnAdapterThatCatenaryHears(t *testing.T) {
	for yml, want := range map[string][]string{
		"production:\n  adapter: redis\n  url: <%= ENV['X'] %>\n":                {},
		"development:\n  adapter: any_cable\nproduction:\n  adapter: redis\n":    {"cable.yml:2 adapter: any_cable"},
		"default: &default\n  adapter: any_cable\nproduction:\n  <<: *default\n": {"cable.yml:2 adapter: any_cable"},
		"production:\n  adapter: solid_cable\n  polling_interval: 0.1.seconds\n": {},
		"production:\n  adapter: <%= ENV['ADAPTER'] %>\n":                        {},
		"# nothing\n": {},
	} {
		report := auditOf(t, aChannel, "class AChannel < ApplicationCable::Channel\nend", "config/cable.yml", yml)
		expect(t, yml, report.Application, want...)
		if fails := len(want) > 0 && report.Application[0].Runs == Never; fails != report.Fails() {
			t.Errorf("%s: fails %v", yml, report.Fails())
		}
	}
}
