package main

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const railsAway = "connecting to Rails"

// Each has an application of its own.
var railsFaults = []*fault{
	{
		name:    "Puma is killed, and started again: commands wait",
		lay:     func(s *stage) { s.startOwnApp() },
		strike:  func(s *stage) { s.app.process.kill() },
		mend:    func(s *stage) { s.must(s.app.up()) },
		unready: railsAway,
	},
	{
		name: "Puma is killed in the middle of actions",
		lay:  func(s *stage) { s.startOwnApp() },
		strike: func(s *stage) {
			act(s.riders, 1, 1)
			await(func() bool { return s.running() > 0 })
			s.app.process.kill()
		},
		mend:    func(s *stage) { s.must(s.app.up()) },
		unready: railsAway, ends: everyone,
	},
	{
		name: "one of Puma's two workers is killed in the middle of actions",
		lay:  func(s *stage) { s.startOwnApp("WEB_CONCURRENCY=2") },
		strike: func(s *stage) {
			act(s.riders, 1, 1)
			await(func() bool { return s.running() > 0 })
			s.must(killWorker(s.app.process.command.Process.Pid))
		},
		during: func(s *stage) { await(func() bool { return every(s.riders, pinged) }) },
		ends:   some,
	},
	{
		name: "Puma is restarted worker by worker (SIGUSR1)", long: true,
		lay:    func(s *stage) { s.startOwnApp("WEB_CONCURRENCY=2") },
		strike: func(s *stage) { s.app.process.signal(syscall.SIGUSR1) },
		during: func(s *stage) {
			await(func() bool {
				act(s.riders, 1, 0)
				return strings.Count(s.app.process.output.String(), "phase: 1") == 2
			})
		},
	},
	{
		name: "stopped, and gone for a while: handshakes wait a little, then 503; a browser leaves meanwhile", long: true,
		lay: func(s *stage) {
			s.startOwnApp()
			s.flags = []string{"--backend-open-timeout", "2s"}
		},
		strike: func(s *stage) { s.app.process.stop(s.T) },
		during: func(s *stage) {
			gone := s.join(1, s.catenary.address) // waits, and leaves before Rails is back
			await(func() bool {
				gone[0].mu.Lock()
				defer gone[0].mu.Unlock()
				return gone[0].refused > 0
			})
			gone[0].leave()
			s.riders[ridersBehind].leave()
		},
		mend:    func(s *stage) { s.must(s.app.up()) },
		unready: railsAway,
	},
	{
		name: "gone for a full minute: commands wait", long: true,
		lay:     func(s *stage) { s.startOwnApp() },
		strike:  func(s *stage) { s.app.process.stop(s.T) },
		during:  func(s *stage) { time.Sleep(time.Minute) },
		mend:    func(s *stage) { s.must(s.app.up()) },
		unready: railsAway,
	},
	{
		name: "slow: every action takes 2 s", long: true,
		lay:     func(s *stage) { s.startOwnApp() },
		strike:  func(s *stage) {},
		during:  func(s *stage) { await(func() bool { return every(s.riders, allAnswered) }) },
		seconds: 2,
	},
	{
		name:   "out of threads: web requests keep all of them for 5 s",
		lay:    func(s *stage) { s.startOwnApp() },
		strike: func(s *stage) { s.occupy(5, 5) },
	},
	{
		name: "answers 500", long: true,
		lay:     func(s *stage) { s.startProxiedApp() },
		strike:  func(s *stage) { s.answerWith("500 Internal Server Error", "We're sorry, but something went wrong") },
		mend:    func(s *stage) { s.answerWith("", "") },
		unready: "status 500", ends: everyone,
	},
	{
		name:    "behind a proxy that answers 502 in HTML",
		lay:     func(s *stage) { s.startProxiedApp() },
		strike:  func(s *stage) { s.answerWith("502 Bad Gateway", "<html><h1>502 Bad Gateway</h1></html>") },
		mend:    func(s *stage) { s.answerWith("", "") },
		unready: "status 502", ends: everyone,
	},
	{
		name:   "behind a proxy that sends every request twice",
		lay:    func(s *stage) { s.startProxiedApp() },
		strike: func(s *stage) { s.toRails.set(func(p *faultyProxy) { p.twice = true }) },
		during: func(s *stage) {
			if !await(func() bool { return strings.Contains(s.app.process.output.String(), "refused a call") }) {
				s.Error("nothing was sent twice")
			}
		},
		mend: func(s *stage) { s.toRails.set(func(p *faultyProxy) { p.twice = false }) },
	},
	{
		name: "unreachable: every packet is lost, nothing is closed", long: true,
		lay: func(s *stage) {
			s.startProxiedApp()
			s.flags = []string{"--backend-timeout", "3s"}
		},
		strike:  func(s *stage) { s.toRails.lose(there | back) },
		mend:    func(s *stage) { s.toRails.lose(0) },
		unready: "Rails", ends: everyone,
	},
	{
		name: "300 ms away", long: true,
		lay:    func(s *stage) { s.startProxiedApp() },
		strike: func(s *stage) { s.toRails.set(func(p *faultyProxy) { p.latency = 300 * time.Millisecond }) },
		mend:   func(s *stage) { s.toRails.set(func(p *faultyProxy) { p.latency = 0 }) },
	},
}

// killWorker kills one of a process' children, as a system does that runs out of memory.
func killWorker(parent int) error {
	children, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", parent))
	if err != nil {
		return err
	}
	var worker int
	if _, err := fmt.Sscan(string(children), &worker); err != nil {
		return fmt.Errorf("%d has no children: %w", parent, err)
	}
	return syscall.Kill(worker, syscall.SIGKILL)
}

// running counts the actions that have begun and not been answered.
func (s *stage) running() (n int) {
	events := s.events()
	for _, r := range s.riders {
		r.is(func(l *life) bool {
			n += len(runs(events[l.user])) - len(l.answers)
			return true
		})
	}
	return n
}

// occupy keeps so many of Rails' threads with requests of the web.
func (s *stage) occupy(requests int, seconds float64) {
	var asked sync.WaitGroup
	for range requests {
		asked.Go(func() {
			response, err := http.Get(fmt.Sprintf("%s/up?sleep=%g", s.app.url(), seconds))
			if err != nil || response.StatusCode != http.StatusOK {
				s.Errorf("a request of the web: %v %v", response, err)
			}
		})
	}
	s.Cleanup(asked.Wait)
}

// answerWith has a proxy answer instead of Rails.
func (s *stage) answerWith(status, html string) {
	s.toRails.set(func(p *faultyProxy) {
		p.answer = ""
		if status != "" {
			p.answer = fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(html), html)
		}
	})
	s.toRails.cut()
}

var browserFaults = []*fault{
	{
		name:   "vanished: every packet is lost, nothing is closed",
		lay:    func(s *stage) { s.flags = []string{"--ping-timeout", "3s"} },
		strike: func(s *stage) { s.toBrowser.lose(there | back) },
		during: func(s *stage) {
			await(func() bool {
				events := s.events()
				return !slices.ContainsFunc(s.behind, func(r *rider) bool {
					return count(events[r.lives[0].user], "unsubscribed") != 1
				})
			})
		},
		mend: func(s *stage) {
			s.toBrowser.lose(0)
			s.toBrowser.cut() // the npm client does so when no pings come
		},
		ends: theirs,
	},
	{
		name:   "does not read",
		lay:    func(s *stage) { s.flags = []string{"--limits-pending-bytes", "64KiB"} },
		strike: func(s *stage) { s.toBrowser.set(func(p *faultyProxy) { p.rate = 20 }) },
		during: func(s *stage) {
			s.publishMuch(30<<20, func() bool { return s.metric(`catenary_connections_ended_total{why="slow"}`) >= ridersBehind })
		},
		mend: func(s *stage) { s.toBrowser.set(func(p *faultyProxy) { p.rate = 0 }) },
		ends: theirs,
	},
	{
		name: "reads slowly", long: true,
		strike: func(s *stage) { s.toBrowser.set(func(p *faultyProxy) { p.rate = 200 << 10 }) },
		during: func(s *stage) { s.publishMuch(2<<20, func() bool { return false }) },
		mend:   func(s *stage) { s.toBrowser.set(func(p *faultyProxy) { p.rate = 0 }) },
	},
	{
		name: "far away, and in segments of 7 bytes", long: true,
		strike: func(s *stage) {
			s.toBrowser.set(func(p *faultyProxy) { p.latency, p.piece = time.Millisecond, 7 })
		},
		mend: func(s *stage) { s.toBrowser.set(func(p *faultyProxy) { p.latency, p.piece = 0, 0 }) },
	},
}

// publishMuch publishes so many bytes that do not count, until done.
func (s *stage) publishMuch(bytes int, done func() bool) {
	payload := `{"pad":"` + strings.Repeat("x", 32<<10) + `"}`
	for sent := 0; sent < bytes && !done(); sent += len(payload) {
		s.must(s.redis.client.Publish(s.Context(), s.stream, payload).Err())
	}
	await(func() bool { return bytes < 10<<20 || done() })
}
