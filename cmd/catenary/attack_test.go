package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The attack suite: what hostile clients do, one file a family. While an attack goes on an honest client must not notice
// (see honest); afterwards nothing of it may be left (see vitals), and the log must have been spared.
//
// In `make test` the attacks are short. `make attack` makes them in full.
var full = os.Getenv("ATTACK") == "full"

// dose is how much of an attack there is.
func dose(short, long int) int {
	if full {
		return long
	}
	return short
}

// A victim is a catenary that is attacked, with the lab and Redis behind it.
type victim struct {
	*edge
	quiet time.Duration // the honest client's round trip, before

	hostile []io.Closer // the attack's connections that may still be open
}

// startVictim starts it so that the addresses of loopback count as those of browsers.
func startVictim(t *testing.T, flags ...string) *victim {
	t.Helper()
	if !full {
		t.Parallel()
	}
	w := &world{}
	t.Cleanup(func() { w.close() })
	var err error
	if w.redis, err = startRedis(); err != nil {
		t.Fatal(err)
	}
	if w.app, err = startApp("lab", true, "REDIS_URL="+w.redis.url(), "LAB_LOG_LEVEL=fatal"); err != nil {
		t.Fatal(err)
	}
	if w.catenary, err = startCatenary(w.app, append([]string{"--trusted-proxies", "10.0.0.0/8"}, flags...)...); err != nil {
		t.Fatal(err)
	}
	return (&victim{edge: &edge{T: t, redis: w.redis, app: w.app, nodes: []*catenary{w.catenary}}}).calm()
}

// calm measures what the honest client is used to.
func (v *victim) calm() *victim {
	v.Helper()
	client := v.honestClient()
	for client.trips() < 20 {
		time.Sleep(50 * time.Millisecond)
	}
	v.quiet = client.leave()
	return v
}

// attack is one attack. Its connections are closed when it returns.
func (v *victim) attack(name string, do func(v *victim)) {
	v.T.Run(name, func(t *testing.T) {
		v := &victim{edge: &edge{T: t, redis: v.redis, app: v.app, nodes: v.nodes}, quiet: v.quiet}
		client, before, began := v.honestClient(), v.vitals(), time.Now()
		v.hostile = nil
		do(v)
		for _, conn := range v.hostile {
			conn.Close()
		}
		during := client.leave()
		v.recovers(before)
		v.spareTheLog(began)
		t.Logf("the honest client's round trip: %v quiet, %v under attack, in the median", v.quiet.Round(time.Millisecond/10), during.Round(time.Millisecond/10))
	})
}

// from connects from the attacker's address, and does not fail if it is turned away.
func (v *victim) from(address, path string, changes ...string) *browser {
	v.Helper()
	node := v.nodes[0].address
	b, err := dialFrom(address, node, handshake("GET", path, node, changes))
	if err != nil {
		v.Fatal(err)
	}
	v.hostile = append(v.hostile, b.conn)
	return b
}

// welcomed connects from the attacker's address as a client that has not begun its attack.
func (v *victim) welcomed(address string) *browser {
	v.Helper()
	b := v.from(address, "/cable")
	v.hears(b, welcome)
	return b
}

// ends waits for the end of the connection and returns the last that it said, pings left out.
func (v *victim) ends(b *browser) (last string) {
	v.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		e, ok := nextFrame(b, time.Until(deadline))
		if !ok {
			v.Fatal("the connection does not end")
		}
		if e.kind == "end" {
			return last
		}
		last = e.String()
	}
}

// vitals are what an attack must not use up.
type vitals struct {
	heap                              float64 // bytes
	goroutines, descriptors, browsers float64
}

func (v *victim) vitals() vitals {
	v.Helper()
	s := v.scrape()
	gauge := func(name string) float64 { return s.families[name].Metric[0].GetGauge().GetValue() }
	return vitals{gauge("go_memstats_heap_alloc_bytes"), gauge("go_goroutines"), gauge("process_open_fds"), gauge("catenary_connections")}
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
