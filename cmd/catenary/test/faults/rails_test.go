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

// Faults of Rails. Each has an application of its own.
var railsFaults = []*fault{
	{
		name:    "Puma is killed and started again: commands wait",
		setUp:   func(s *rig) { s.startOwnApp() },
		inject:  func(s *rig) { s.app.Process.Kill() },
		repair:  func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway,
	},
	{
		name:  "Puma is killed in the middle of actions",
		setUp: func(s *rig) { s.startOwnApp() },
		inject: func(s *rig) {
			act(s.recorders, 1, 1)
			stage.Await(func() bool { return s.running() > 0 })
			s.app.Process.Kill()
		},
		repair:  func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway, reconnect: everyone,
	},
	{
		name:  "one of Puma's two workers is killed in the middle of actions",
		setUp: func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2") },
		inject: func(s *rig) {
			act(s.recorders, 1, 1)
			stage.Await(func() bool { return s.running() > 0 })
			s.must(killWorker(s.app.Process.Command.Process.Pid))
		},
		during:    func(s *rig) { stage.Await(func() bool { return every(s.recorders, pinged) }) },
		reconnect: some,
	},
	{
		name: "Puma is restarted worker by worker (SIGUSR1)", long: true,
		setUp:  func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2", "LAB_PRELOAD=false") },
		inject: func(s *rig) { s.app.Process.Signal(syscall.SIGUSR1) },
		during: func(s *rig) {
			stage.Await(func() bool {
				act(s.recorders, 1, 0)
				return strings.Count(s.app.Process.Output.String(), "phase: 1") == 2
			})
		},
	},
	{
		name: "stopped for a while: handshakes wait briefly, then get 503; a browser disconnects meanwhile", long: true,
		setUp: func(s *rig) {
			s.startOwnApp()
			s.flags = []string{"--backend-open-timeout", "2s"}
		},
		inject: func(s *rig) { s.app.Process.Stop(s.T) },
		during: func(s *rig) {
			gone := s.join(1, s.catenary.Address) // waits, and leaves before Rails is back
			stage.Await(func() bool {
				gone[0].mu.Lock()
				defer gone[0].mu.Unlock()
				return gone[0].rejected > 0
			})
			gone[0].leave()
			s.recorders[proxiedBrowsers].leave()
		},
		repair:  func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway,
	},
	{
		name: "stopped for a minute: commands wait", long: true,
		setUp:   func(s *rig) { s.startOwnApp() },
		inject:  func(s *rig) { s.app.Process.Stop(s.T) },
		during:  func(s *rig) { time.Sleep(time.Minute) },
		repair:  func(s *rig) { s.must(s.app.Up()) },
		unready: railsAway,
	},
	{
		name: "slow: every action takes 2 s", long: true,
		setUp:   func(s *rig) { s.startOwnApp() },
		inject:  func(s *rig) {},
		during:  func(s *rig) { stage.Await(func() bool { return every(s.recorders, allAnswered) }) },
		seconds: 2,
	},
	{
		name:   "out of threads: web requests occupy all of them for 5 s",
		setUp:  func(s *rig) { s.startOwnApp() },
		inject: func(s *rig) { s.occupy(5, 5) },
	},
	{
		name: "answers 500", long: true,
		setUp:   func(s *rig) { s.startProxiedApp() },
		inject:  func(s *rig) { s.answerWith("500 Internal Server Error", "We're sorry, but something went wrong") },
		repair:  func(s *rig) { s.answerWith("", "") },
		unready: "status 500", reconnect: everyone,
	},
	{
		name:    "behind a proxy that answers 502 in HTML",
		setUp:   func(s *rig) { s.startProxiedApp() },
		inject:  func(s *rig) { s.answerWith("502 Bad Gateway", "<html><h1>502 Bad Gateway</h1></html>") },
		repair:  func(s *rig) { s.answerWith("", "") },
		unready: "status 502", reconnect: everyone,
	},
	{
		name:   "behind a proxy that sends every request twice",
		setUp:  func(s *rig) { s.startProxiedApp() },
		inject: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Repeat = true }) },
		during: func(s *rig) {
			if !stage.Await(func() bool { return strings.Contains(s.app.Process.Output.String(), "refused a call") }) {
				s.Error("no request was sent twice")
			}
		},
		repair: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Repeat = false }) },
	},
	{
		name: "unreachable: every packet is lost, nothing is closed", long: true,
		setUp: func(s *rig) {
			s.startProxiedApp()
			s.flags = []string{"--backend-timeout", "3s"}
		},
		inject:  func(s *rig) { s.toRails.Lose(stage.ToTarget | stage.ToClient) },
		repair:  func(s *rig) { s.toRails.Lose(0) },
		unready: "Rails", reconnect: everyone,
	},
	{
		name: "300 ms of latency", long: true,
		setUp:  func(s *rig) { s.startProxiedApp() },
		inject: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Latency = 300 * time.Millisecond }) },
		repair: func(s *rig) { s.toRails.Set(func(p *stage.FaultyProxy) { p.Latency = 0 }) },
	},
}

// killWorker kills a child of a process, as the kernel does when memory runs out.
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

// running counts the actions that have begun and were not answered.
func (s *rig) running() (n int) {
	events := s.events()
	for _, r := range s.recorders {
		r.check(func(l *session) bool {
			n += len(runs(events[l.user])) - len(l.answers)
			return true
		})
	}
	return n
}

// occupy keeps this number of Rails' threads busy with web requests.
func (s *rig) occupy(requests int, seconds float64) {
	var asked sync.WaitGroup
	for range requests {
		asked.Go(func() {
			response, err := http.Get(fmt.Sprintf("%s/up?sleep=%g", s.app.URL(), seconds))
			if err != nil || response.StatusCode != http.StatusOK {
				s.Errorf("web request: %v %v", response, err)
			}
		})
	}
	s.Cleanup(asked.Wait)
}

// answerWith makes the proxy answer instead of Rails; "" ends that.
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
		setUp:  func(s *rig) { s.flags = []string{"--ping-timeout", "3s"} },
		inject: func(s *rig) { s.toBrowser.Lose(stage.ToTarget | stage.ToClient) },
		during: func(s *rig) {
			stage.Await(func() bool {
				events := s.events()
				return !slices.ContainsFunc(s.proxied, func(r *recorder) bool {
					return count(events[r.sessions[0].user], "unsubscribed") != 1
				})
			})
		},
		repair: func(s *rig) {
			s.toBrowser.Lose(0)
			s.toBrowser.Cut() // as the npm client does when no pings come
		},
		reconnect: behindProxy,
	},
	{
		name:   "does not read",
		setUp:  func(s *rig) { s.flags = []string{"--limits-pending-bytes", "64KiB"} },
		inject: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 20 }) },
		during: func(s *rig) {
			s.publishMuch(30<<20, func() bool { return s.metric(`catenary_connections_ended_total{reason="slow"}`) >= proxiedBrowsers })
		},
		repair:    func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 0 }) },
		reconnect: behindProxy,
	},
	{
		name: "reads slowly", long: true,
		inject: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 200 << 10 }) },
		during: func(s *rig) { s.publishMuch(2<<20, func() bool { return false }) },
		repair: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Rate = 0 }) },
	},
	{
		name: "high latency, in segments of 7 bytes", long: true,
		inject: func(s *rig) {
			s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Latency, p.Piece = time.Millisecond, 7 })
		},
		repair: func(s *rig) { s.toBrowser.Set(func(p *stage.FaultyProxy) { p.Latency, p.Piece = 0, 0 }) },
	},
}

// publishMuch publishes messages that are not numbers until bytes are sent or done returns true.
func (s *rig) publishMuch(bytes int, done func() bool) {
	payload := `{"pad":"` + strings.Repeat("x", 32<<10) + `"}`
	for sent := 0; sent < bytes && !done(); sent += len(payload) {
		s.must(s.redis.Client.Publish(s.Context(), s.stream, payload).Err())
	}
	stage.Await(func() bool { return bytes < 10<<20 || done() })
}
