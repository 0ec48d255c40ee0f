package main

import (
	"fmt"
	"regexp"
	"strings"
	"time"
)

// vitals are what an attack must not use up.
type vitals struct {
	heap                              float64 // bytes
	goroutines, descriptors, browsers float64
}

func (v *victim) vitals() vitals {
	v.Helper()
	s := v.scrape()
	return vitals{s.gauge("go_memstats_heap_alloc_bytes"), s.gauge("go_goroutines"), s.gauge("process_open_fds"), s.gauge("catenary_connections")}
}

// recovers waits until the attack has left nothing behind. Some is allowed for what differs from moment to moment, such as
// connections to Rails.
func (v *victim) recovers(before vitals) {
	v.Helper()
	var after vitals
	err := v.nodes[0].process.waitFor(90*time.Second, func() error {
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

// spareTheLog expects of each kind of line one a minute.
func (v *victim) spareTheLog(since time.Time) {
	v.Helper()
	count := map[string]int{}
	for _, m := range logLine.FindAllStringSubmatch(v.nodes[0].process.output.String(), -1) {
		at, err := time.Parse(time.RFC3339, m[1])
		if err != nil || at.Before(since.Add(-time.Second)) {
			continue
		}
		why := regexp.MustCompile(`why=\S+`).FindString(m[3])
		count[m[2]+" "+why]++
	}
	for kind, n := range count {
		if most := 1 + int(time.Since(since)/time.Minute); n > most {
			v.Errorf("%d lines in the log say %s, for example\n%s", n, kind, lastLine(v.nodes[0].process.output.String(), strings.Fields(kind)[0]))
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

// reaches waits until a counter has come so far.
func (v *victim) reaches(what string, count func(scraped) float64, least float64) {
	v.Helper()
	err := v.nodes[0].process.waitFor(2*time.Minute, func() error {
		if n := count(v.scrape()); n < least {
			return fmt.Errorf("%s: %v, and not yet %v", what, n, least)
		}
		return nil
	})
	if err != nil {
		v.Fatal(err)
	}
}

// refusedSubscriptions counts those over any limit.
func (s scraped) refusedSubscriptions() (sum float64) {
	for _, metric := range s.families["catenary_subscriptions_refused_total"].Metric {
		sum += metric.GetCounter().GetValue()
	}
	return sum
}

// staysBelow waits until the attack, which has not ended, holds no more than so much of the heap.
func (v *victim) staysBelow(before vitals, bytes float64) {
	v.Helper()
	held := 0.0
	err := v.nodes[0].process.waitFor(30*time.Second, func() error {
		if held = v.vitals().heap - before.heap; held > bytes {
			return fmt.Errorf("it holds %.1f MB", held/(1<<20))
		}
		return nil
	})
	if err != nil {
		v.Error(err)
	}
}

// why is the counter's value for this label.
func (s scraped) why(name, value string) float64 {
	for _, metric := range s.families[name].Metric {
		if metric.Label[0].GetValue() == value {
			return metric.GetCounter().GetValue()
		}
	}
	return 0
}

func (s scraped) repeated() float64 {
	return s.families["catenary_commands_repeated_total"].Metric[0].GetCounter().GetValue()
}

func (s scraped) broadcasts() float64 {
	return s.families["catenary_broadcasts_received_total"].Metric[0].GetCounter().GetValue()
}

func (s scraped) gauge(name string) float64 { return s.families[name].Metric[0].GetGauge().GetValue() }

// writePatiently waits for a server that reads slowly.
func (b *browser) writePatiently(bytes []byte) error {
	b.writing.Lock()
	defer b.writing.Unlock()
	b.conn.SetWriteDeadline(time.Now().Add(2 * time.Minute))
	_, err := b.conn.Write(bytes)
	return err
}

// ignore reads what the server says and forgets it.
func (b *browser) ignore() {
	for range b.heard {
	}
}
