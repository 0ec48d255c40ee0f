package audit

import "testing"

func TestClassState_IsWhatAProcessCountsOrCollects(t *testing.T) {
	for code, want := range map[string]string{
		"PRESENT = Hash.new(0)":                             "PRESENT = a Hash",
		"PRESENT = Concurrent::Map.new":                     "PRESENT = a Concurrent::Map",
		"SEEN = Set.new":                                    "SEEN = a Set",
		"LIMIT = 10":                                        "",
		"KINDS = { a: 1 }":                                  "",
		"KINDS = %w[a b].freeze":                            "",
		"NAMES = [].freeze":                                 "",
		"@present = {}":                                     "@present = a Hash",
		"@@count = 0":                                       "@@count = a count",
		"def subscribed\n @@count += 1\nend":                "@@count = a count",
		"def subscribed\n @@seen ||= []\nend":               "@@seen = an Array",
		"def subscribed\n @@redis ||= Redis.new\nend":       "",
		"def subscribed\n @present = {}\nend":               "",
		"class << self\n def all\n  @all ||= {}\n end\nend": "@all = a Hash",
		"def self.name\n @name ||= super.to_s\nend":         "",
	} {
		got := ""
		for _, f := range channelOf(t, code).Findings {
			if f.Rule == "class state" && got == "" {
				got = f.Code
			}
		}
		if got != want {
			t.Errorf("%s\n got %q\nwant %q", code, got, want)
		}
	}
}

func TestClassState_IsNamedOnceAndPlain(t *testing.T) {
	s := channelOf(t, "@@count = 0\ndef subscribed\n @@count += 1\nend\ndef unsubscribed\n @@count -= 1\nend")
	expect(t, "counter", s.Findings, "class state:2 @@count = a count")
	if s.Runs != Plain {
		t.Errorf("runs %v", s.Runs)
	}
}
