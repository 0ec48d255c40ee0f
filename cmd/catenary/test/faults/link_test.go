package faults

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Faults of the links to Rails' processes.
var linkFaults = []*fault{
	{
		name:  "cut in the middle of a frame, with commands in flight",
		setUp: func(s *rig) { s.startProxiedApp() },
		inject: func(s *rig) {
			s.toRails.Set(func(p *stage.FaultyProxy) { p.Piece, p.Latency = 40, time.Millisecond })
			act(s.recorders, 5, 0)
			s.waitFor("an action has run", func() bool { return s.running() > 0 })
			s.toRails.Cut()
			s.toRails.Set(func(p *stage.FaultyProxy) { p.Piece, p.Latency = 0, 0 })
		},
		during: func(s *rig) {
			s.waitFor("the log has the lost link", func() bool { return s.logCount("lost link to Rails process") > 0 })
		},
		reconnect: some, brief: true,
	},
	{
		name: "Puma is frozen for longer than backend.timeout (SIGSTOP)", long: true,
		setUp: func(s *rig) {
			s.startOwnApp()
			s.flags = []string{"--backend-timeout", "6s"}
		},
		inject:  func(s *rig) { s.app.Process.Signal(syscall.SIGSTOP) },
		repair:  func(s *rig) { s.app.Process.Signal(syscall.SIGCONT) },
		unready: "Rails", reconnect: everyone,
	},
	{
		name:   "Puma restarts in place as a single process (SIGUSR2) while commands keep coming",
		setUp:  func(s *rig) { s.startOwnApp() },
		inject: func(s *rig) { s.app.Process.Signal(syscall.SIGUSR2) },
		during: func(s *rig) { s.actUntil(func() bool { return s.metric("catenary_rails_links_opened_total") > 1 }) },
		brief:  true,
	},
	{
		name: "Puma restarts in place as a cluster (SIGUSR2) while commands keep coming", long: true,
		setUp:  func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2") },
		inject: func(s *rig) { s.app.Process.Signal(syscall.SIGUSR2) },
		during: func(s *rig) { s.actUntil(func() bool { return s.metric("catenary_rails_links_opened_total") > 3 }) },
		brief:  true,
	},
	{
		name:  "the only worker thread of a process is busy for 5 s: only its own browsers wait",
		setUp: func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2", "LAB_WORKERS=1") },
		inject: func(s *rig) {
			s.recorders[proxiedBrowsers].act(5)
			s.waitFor("the long action runs", func() bool { return s.running() > 0 })
		},
		during: func(s *rig) {
			answered := 0
			s.waitFor("browsers of the other process are answered", func() bool {
				answered = 0
				for _, r := range s.recorders {
					if r.check(allAnswered) {
						answered++
					}
				}
				return answered >= len(s.recorders)/3
			})
			if s.recorders[proxiedBrowsers].check(allAnswered) {
				s.Error("the other browsers were answered only after the long action had returned")
			}
		},
	},
	{
		name:  "a web request forks, and the child exits",
		setUp: func(s *rig) { s.startOwnApp() },
		inject: func(s *rig) {
			for range 3 {
				s.must(s.app.Ask("POST /fork {}"))
			}
		},
		during: func(s *rig) {
			if n := s.metric("catenary_rails_links_opened_total"); n != 1 {
				s.Errorf("links were opened %v times", n)
			}
		},
	},
	{
		name:  "a channel transmits more than a frame may hold: only that browser reconnects",
		setUp: func(s *rig) { s.startOwnApp() },
		inject: func(s *rig) {
			b, err := stage.Dial(s.catenary.Address, stage.Handshake("GET", "/cable?uid=huge", s.catenary.Address, nil))
			s.must(err)
			s.Cleanup(b.Close)
			channel := `{"channel":"EchoChannel"}`
			s.must(b.Send(stage.Command("subscribe", channel, nil)))
			s.must(b.Send(stage.Command("message", channel, `{"action":"huge"}`)))
			s.waitFor("its browser reconnects", func() bool { return s.metric(`catenary_connections_ended_total{reason="rails_failed"}`) == 1 })
		},
	},
	{
		name:  "forged and incomplete upgrade requests",
		setUp: func(s *rig) { s.startOwnApp() },
		inject: func(s *rig) {
			forged := "GET /_catenary HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: catenary\r\nCatenary-Node: n-x\r\nCatenary-Frames: plain\r\nCatenary-Known: \r\n" +
				fmt.Sprintf("Catenary-Time: %d\r\nCatenary-Nonce: %s\r\nCatenary-Signature: %s\r\n\r\n", time.Now().Unix(), strings.Repeat("a", 32), strings.Repeat("b", 64))
			for i := range 20 {
				conn, err := net.Dial("tcp", s.app.Address)
				s.must(err)
				s.Cleanup(func() { conn.Close() })
				if i%2 == 0 {
					fmt.Fprint(conn, forged[:60])
					continue
				}
				fmt.Fprint(conn, forged)
				answer := make([]byte, 12)
				conn.SetReadDeadline(time.Now().Add(stage.Patience))
				conn.Read(answer)
				if string(answer) != "HTTP/1.1 403" {
					s.Errorf("a forged upgrade was answered %q", answer)
				}
			}
		},
	},
	{
		name: "a proxy in front of Rails removes the upgrade: calls are sent as POST requests",
		setUp: func(s *rig) {
			s.startOwnApp()
			s.flags = []string{"--backend-url", stage.StartProxyWithoutUpgrades(s.T, s.app)}
		},
		inject: func(s *rig) {},
		during: func(s *rig) {
			if s.logCount("strips the Upgrade header") != 1 {
				s.Error("the log does not give the reason for POST once")
			}
		},
	},
}

// actUntil makes all browsers act again and again until a condition holds.
func (s *rig) actUntil(condition func() bool) {
	s.waitFor("the fault is over while browsers act", func() bool {
		act(s.recorders, 2, 0)
		return condition()
	})
}
