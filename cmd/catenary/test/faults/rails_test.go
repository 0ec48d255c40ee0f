package faults

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const railsAway = "connecting to Rails"

// Each has an application of its own.
var railsFaults = []*fault{
	{
		name:    "Puma is killed, and started again: commands wait",
		lay:     func(s *rig) { s.startOwnApp() },
		strike:  func(s *rig) { s.app.Process.Kill() },
		mend:    func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway,
	},
	{
		name: "Puma is killed in the middle of actions",
		lay:  func(s *rig) { s.startOwnApp() },
		strike: func(s *rig) {
			act(s.riders, 1, 1)
			stage.Await(func() bool { return s.running() > 0 })
			s.app.Process.Kill()
		},
		mend:    func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway, ends: everyone,
	},
	{
		name: "one of Puma's two workers is killed in the middle of actions",
		lay:  func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2") },
		strike: func(s *rig) {
			act(s.riders, 1, 1)
			stage.Await(func() bool { return s.running() > 0 })
			s.must(killWorker(s.app.Process.Command.Process.Pid))
		},
		during: func(s *rig) { stage.Await(func() bool { return every(s.riders, pinged) }) },
		ends:   some,
	},
	{
		name: "Puma is restarted worker by worker (SIGUSR1)", long: true,
		lay:    func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2", "LAB_PRELOAD=false") },
		strike: func(s *rig) { s.app.Process.Signal(syscall.SIGUSR1) },
		during: func(s *rig) {
			stage.Await(func() bool {
				act(s.riders, 1, 0)
				return strings.Count(s.app.Process.Output.String(), "phase: 1") == 2
			})
		},
	},
	{
		name: "stopped, and gone for a while: handshakes wait a little, then 503; a browser leaves meanwhile", long: true,
		lay: func(s *rig) {
			s.startOwnApp()
			s.flags = []string{"--backend-open-timeout", "2s"}
		},
		strike: func(s *rig) { s.app.Process.Stop(s.T) },
		during: func(s *rig) {
			gone := s.join(1, s.catenary.Address) // waits, and leaves before Rails is back
			stage.Await(func() bool {
				gone[0].mu.Lock()
				defer gone[0].mu.Unlock()
				return gone[0].refused > 0
			})
			gone[0].leave()
			s.riders[ridersBehind].leave()
		},
		mend:    func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway,
	},
	{
		name: "gone for a full minute: commands wait", long: true,
		lay:     func(s *rig) { s.startOwnApp() },
		strike:  func(s *rig) { s.app.Process.Stop(s.T) },
		during:  func(s *rig) { time.Sleep(time.Minute) },
		mend:    func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway,
	},
	{
		name: "slow: every action takes 2 s", long: true,
		lay:     func(s *rig) { s.startOwnApp() },
		strike:  func(s *rig) {},
		during:  func(s *rig) { stage.Await(func() bool { return every(s.riders, allAnswered) }) },
		seconds: 2,
	},
	{
		name:   "out of threads: web requests keep all of them for 5 s",
		lay:    func(s *rig) { s.startOwnApp() },
		strike: func(s *rig) { s.occupy(5, 5) },
	},
	{
		name: "answers 500", long: true,
		lay:     func(s *rig) { s.startProxiedApp() },
		strike:  func(s *rig) { s.answerWith("500 Internal Server Error", "We're sorry, but something went wrong") },
		mend:    func(s *rig) { s.answerWith("", "") },
		unready: "status 500", ends: everyone,
	},
	{
		name:    "behind a proxy that answers 502 in HTML",
		lay:     func(s *rig) { s.startProxiedApp() },
		strike:  func(s *rig) { s.answerWith("502 Bad Gateway", "<html><h1>502 Bad Gateway</h1></html>") },
		mend:    func(s *rig) { s.answerWith("", "") },
		unready: "status 502", ends: everyone,
	},
	{
		name:   "behind a proxy that sends every request twice",
		lay:    func(s *rig) { s.startProxiedApp() },
		strike: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Repeat = true }) },
		during: func(s *rig) {
			if !stage.Await(func() bool { return strings.Contains(s.app.Process.Output.String(), "refused a call") }) {
				s.Error("nothing was sent twice")
			}
		},
		mend: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Repeat = false }) },
	},
	{
		name: "unreachable: every packet is lost, nothing is closed", long: true,
		lay: func(s *rig) {
			s.startProxiedApp()
			s.flags = []string{"--backend-timeout", "3s"}
		},
		strike:  func(s *rig) { s.toRails.Lose(stage.ToTarget | stage.ToClient) },
		mend:    func(s *rig) { s.toRails.Lose(0) },
		unready: "Rails", ends: everyone,
	},
	{
		name: "300 ms away", long: true,
		lay:    func(s *rig) { s.startProxiedApp() },
		strike: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Latency = 300 * time.Millisecond }) },
		mend:   func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Latency = 0 }) },
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
func (s *rig) running() (n int) {
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
func (s *rig) occupy(requests int, seconds float64) {
	var asked sync.WaitGroup
	for range requests {
		asked.Go(func() {
			response, err := http.Get(fmt.Sprintf("%s/up?sleep=%g", s.app.URL(), seconds))
			if err != nil || response.StatusCode != http.StatusOK {
				s.Errorf("a request of the web: %v %v", response, err)
			}
		})
	}
	s.Cleanup(asked.Wait)
}

// answerWith has a proxy answer instead of Rails.
func (s *rig) answerWith(status, html string) {
	s.toRails.Set(func(p *stage.FaultyProxy) {
		p.Answer = ""
		if status != "" {
			p.Answer = fmt.Sprintf("HTTP/1.1 %s\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(html), html)
		}
	})
	s.toRails.Cut()
}

var browserFaults = []*fault{
	{
		name:   "vanished: every packet is lost, nothing is closed",
		lay:    func(s *rig) { s.flags = []string{"--ping-timeout", "3s"} },
		strike: func(s *rig) { s.toBrowser.Lose(stage.ToTarget | stage.ToClient) },
		during: func(s *rig) {
			stage.Await(func() bool {
				events := s.events()
				return !slices.ContainsFunc(s.behind, func(r *rider) bool {
					return count(events[r.lives[0].user], "unsubscribed") != 1
				})
			})
		},
		mend: func(s *rig) {
			s.toBrowser.Lose(0)
			s.toBrowser.Cut() // the npm client does so when no pings come
		},
		ends: theirs,
	},
	{
		name:   "does not read",
		lay:    func(s *rig) { s.flags = []string{"--limits-pending-bytes", "64KiB"} },
		strike: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 20 }) },
		during: func(s *rig) {
			s.publishMuch(30<<20, func() bool { return s.metric(`catenary_connections_ended_total{why="slow"}`) >= ridersBehind })
		},
		mend: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 0 }) },
		ends: theirs,
	},
	{
		name: "reads slowly", long: true,
		strike: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 200 << 10 }) },
		during: func(s *rig) { s.publishMuch(2<<20, func() bool { return false }) },
		mend:   func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 0 }) },
	},
	{
		name: "far away, and in segments of 7 bytes", long: true,
		strike: func(s *rig) {
			s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Latency, p.Piece = time.Millisecond, 7 })
		},
		mend: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Latency, p.Piece = 0, 0 }) },
	},
}

// publishMuch publishes so many bytes that do not count, until done.
func (s *rig) publishMuch(bytes int, done func() bool) {
	payload := `{"pad":"` + strings.Repeat("x", 32<<10) + `"}`
	for sent := 0; sent < bytes && !done(); sent += len(payload) {
		s.must(s.redis.Client.Publish(s.Context(), s.stream, payload).Err())
	}
	stage.Await(func() bool { return bytes < 10<<20 || done() })
}
