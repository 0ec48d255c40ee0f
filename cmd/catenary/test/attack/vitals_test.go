package attack

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// vitals are the resources that an attack must not use up.
type vitals struct {
	heap                              float64 // bytes
	goroutines, descriptors, browsers float64
}

func (v *victim) vitals() vitals {
	v.Helper()
	s := v.Scrape()
	return vitals{s.Gauge("go_memstats_heap_alloc_bytes"), s.Gauge("go_goroutines"), s.Gauge("process_open_fds"), s.Gauge("catenary_connections")}
}

// expectRecovery waits until the attack's resources are released, with some tolerance for what
// varies, such as connections to Rails.
func (v *victim) expectRecovery(before vitals) {
	v.Helper()
	var after vitals
	err := v.Nodes[0].Process.WaitFor(func() error {
		if _, err := stage.Get("http://" + v.Nodes[0].Operations + "/debug/pprof/heap?gc=1"); err != nil {
			return err
		}
		after = v.vitals()
		if after.heap > before.heap+32<<20 || after.goroutines > before.goroutines+20 || after.descriptors > before.descriptors+20 || after.browsers > before.browsers {
			return fmt.Errorf("before the attack %+v, after it %+v", before, after)
		}
		return nil
	})
	if err != nil {
		v.Error(err)
	}
	v.Logf("before %+v, after %+v", before, after)
}

var logLine = regexp.MustCompile(`(?m)^time=(\S+) level=(?:WARN|ERROR) msg=("[^"]*"|\S+)(.*)$`)

// expectQuietLog expects at most one line a minute of each kind.
func (v *victim) expectQuietLog(since time.Time) {
	v.Helper()
	count := map[string]int{}
	for _, m := range logLine.FindAllStringSubmatch(v.Nodes[0].Process.Output.String(), -1) {
		at, err := time.Parse(time.RFC3339, m[1])
		if err != nil || at.Before(since.Add(-time.Second)) {
			continue
		}
		reason := regexp.MustCompile(`reason=\S+`).FindString(m[3]) + regexp.MustCompile(` guess="[^"]*"`).FindString(m[3])
		count[m[2]+" "+reason]++
	}
	for kind, n := range count {
		if most := 1 + int(time.Since(since)/time.Minute); n > most {
			v.Errorf("%d log lines of the kind %s, for example\n%s", n, kind, lastLine(v.Nodes[0].Process.Output.String(), strings.Fields(kind)[0]))
		}
	}
}

func lastLine(text, with string) string {
	at := strings.LastIndex(text, with)
	if at < 0 {
		return ""
	}
	line, _, _ := strings.Cut(text[strings.LastIndexByte(text[:at], '\n')+1:], "\n")
	return line
}

// waitForCount waits until a counter is at least as high, as long as it rises.
func (v *victim) waitForCount(what string, count func(stage.Scraped) float64, least float64) {
	v.Helper()
	for n := count(v.Scrape()); n < least; {
		before := n
		if !stage.Await(func() bool { n = count(v.Scrape()); return n > before }) {
			v.Fatalf("%s: %v, want %v. The end of catenary's output:\n%s", what, n, least, v.Nodes[0].Process.Output.Tail())
		}
	}
}

// rejectedSubscriptions counts the subscriptions over any limit.
func rejectedSubscriptions(s stage.Scraped) (sum float64) {
	for _, metric := range s.Families["catenary_subscriptions_rejected_total"].Metric {
		sum += metric.GetCounter().GetValue()
	}
	return sum
}

// expectHeapBelow waits until the attack holds no more than this number of bytes of the heap.
func (v *victim) expectHeapBelow(before vitals, bytes float64) {
	v.Helper()
	held := 0.0
	err := v.Nodes[0].Process.WaitFor(func() error {
		held = v.vitals().heap - before.heap
		if held > bytes {
			return fmt.Errorf("the attack holds %.1f MB", held/(1<<20))
		}
		return nil
	})
	if err != nil {
		v.Error(err)
	}
}

func repeated(s stage.Scraped) float64 {
	return s.Families["catenary_commands_repeated_total"].Metric[0].GetCounter().GetValue()
}

func broadcasts(s stage.Scraped) float64 {
	return s.Families["catenary_broadcasts_received_total"].Metric[0].GetCounter().GetValue()
}
