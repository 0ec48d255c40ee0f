package audit

import "testing"

func TestPassedThrough_IsWhatTheConfigurationSays(t *testing.T) {
	for yml, passed := range map[string]bool{
		"production:\n  pass_through: [AChannel]\n":                                      true,
		"production:\n  pass_through: BChannel, ::AChannel\n":                            true,
		"shared:\n  pass_through: all\n":                                                 true,
		"shared:\n  pass_through: [AChannel]\nproduction:\n  pass_through: [BChannel]\n": false,
		"development:\n  pass_through: [AChannel]\n":                                     false,
		"production:\n  listen: :1\n":                                                    false,
	} {
		report := auditOf(t, aChannel, "class AChannel < ActionCable::Channel::Base\n def peek = connection.websocket\nend", "config/catenary.yml", yml)
		if c := report.Channels[0]; c.Passed != passed || report.Fails() == passed {
			t.Errorf("%s: passed %v, fails %v", yml, c.Passed, report.Fails())
		}
		want := "audit: 1 channel, 0 plain, 1 needs pass-through"
		if passed {
			want = "audit: 1 channel, 0 plain, 1 passed through"
		}
		if report.Summary() != want {
			t.Error(report.Summary())
		}
	}
}
