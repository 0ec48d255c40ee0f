package audit

import "testing"

func TestEndlessLoops_KeepTheirBrowserWaiting(t *testing.T) {
	for code, found := range map[string]bool{
		"loop do\n tick\n sleep 1\n break unless @run\nend":        true,
		"loop { sleep 1; tick }":                                   true,
		"while true\n sleep 1\nend":                                true,
		"loop do\n tick or break\nend":                             false,
		"sleep 1 while busy?":                                      false,
		"Thread.new do\n loop do\n  sleep 1\n end\nend":            false,
		"Thread.new(a, (b)) do\n loop { sleep 1 }\nend":            false,
		"Thread.new { loop { sleep 1 } }":                          false,
		"@task = Concurrent::Promises.future { loop { sleep 1 } }": false,
		"3.times { sleep 1 }":                                      false,
	} {
		s := channelOf(t, "def start\n"+code+"\nend")
		got := false
		for _, f := range s.Findings {
			got = got || f.Rule == "endless loops"
		}
		if got != found {
			t.Errorf("%q: got %v", code, told(s.Findings))
		}
	}
}
