package faults

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// What befalls the links into Rails' processes.
var linkFaults = []*fault{
	{
		name: "cut in the middle of a frame, while commands are under way",
		lay:  func(s *rig) { s.startProxiedApp() },
		strike: func(s *rig) {
			s.toRails.Set(func(p *stage.FaultyProxy) { p.Piece, p.Latency = 40, time.Millisecond })
			act(s.riders, 5, 0)
			s.awaits("an action has run", func() bool { return s.running() > 0 })
			s.toRails.Cut()
			s.toRails.Set(func(p *stage.FaultyProxy) { p.Piece, p.Latency = 0, 0 })
		},
		during: func(s *rig) {
			s.awaits("it is said", func() bool { return s.says("lost link to Rails process") > 0 })
		},
		ends: some, brief: true,
	},
	{
		name: "Puma is stopped for longer than backend.timeout (SIGSTOP)", long: true,
		lay: func(s *rig) {
			s.startOwnApp()
			s.flags = []string{"--backend-timeout", "6s"}
		},
		strike:  func(s *rig) { s.app.Process.Signal(syscall.SIGSTOP) },
		mend:    func(s *rig) { s.app.Process.Signal(syscall.SIGCONT) },
		unready: "Rails", ends: everyone,
	},
	{
		name:   "Puma restarts in place, a single process (SIGUSR2), while commands come all the time",
		lay:    func(s *rig) { s.startOwnApp() },
		strike: func(s *rig) { s.app.Process.Signal(syscall.SIGUSR2) },
		during: func(s *rig) { s.actUntil(func() bool { return s.metric("catenary_rails_links_opened_total") > 1 }) },
		brief:  true,
	},
	{
		name: "Puma restarts in place, a cluster (SIGUSR2), while commands come all the time", long: true,
		lay:    func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2") },
		strike: func(s *rig) { s.app.Process.Signal(syscall.SIGUSR2) },
		during: func(s *rig) { s.actUntil(func() bool { return s.metric("catenary_rails_links_opened_total") > 3 }) },
		brief:  true,
	},
	{
		name: "the one worker thread of a process is busy for 5 s: only its own browsers wait",
		lay:  func(s *rig) { s.startOwnApp("WEB_CONCURRENCY=2", "LAB_WORKERS=1") },
		strike: func(s *rig) {
			s.riders[ridersBehind].act(5)
			s.awaits("the long action runs", func() bool { return s.running() > 0 })
		},
		during: func(s *rig) {
			answered := 0
			s.awaits("browsers of the other process are answered", func() bool {
				answered = 0
				for _, r := range s.riders {
					if r.is(allAnswered) {
						answered++
					}
				}
				return answered >= len(s.riders)/3
			})
			if s.riders[ridersBehind].is(allAnswered) {
				s.Error("they were answered only once the long action had ended")
			}
		},
	},
	{
		name: "a request of the web forks, and the child ends",
		lay:  func(s *rig) { s.startOwnApp() },
		strike: func(s *rig) {
			for range 3 {
				s.must(s.app.Ask("POST /fork {}"))
			}
		},
		during: func(s *rig) {
			if n := s.metric("catenary_rails_links_opened_total"); n != 1 {
				s.Errorf("the link was opened %v times", n)
			}
		},
	},
	{
		name: "a channel transmits more than a frame may hold: that browser alone comes back",
		lay:  func(s *rig) { s.startOwnApp() },
		strike: func(s *rig) {
			b, err := stage.Dial(s.catenary.Address, stage.Handshake("GET", "/cable?uid=huge", s.catenary.Address, nil))
			s.must(err)
			s.Cleanup(b.Close)
			channel := `{"channel":"EchoChannel"}`
			s.must(b.Send(stage.Command("subscribe", channel, nil)))
			s.must(b.Send(stage.Command("message", channel, `{"action":"huge"}`)))
			s.awaits("its browser is told to come back", func() bool { return s.metric(`catenary_connections_ended_total{reason="rails_failed"}`) == 1 })
		},
	},
	{
		name: "forged and half upgrades, and links on which nothing is said",
		lay:  func(s *rig) { s.startOwnApp() },
		strike: func(s *rig) {
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
		name: "a proxy before Rails takes away the upgrade: calls go by POST",
		lay: func(s *rig) {
			s.startOwnApp()
			s.flags = []string{"--backend-url", s.withoutUpgrades()}
		},
		strike: func(s *rig) {},
		during: func(s *rig) {
			if s.says("strips the Upgrade header") != 1 {
				s.Error("the log does not say once why calls go by POST")
			}
		},
	},
}

// actUntil has all act, again and again, until something has come about.
func (s *rig) actUntil(condition func() bool) {
	s.awaits("what commands come for", func() bool {
		act(s.riders, 2, 0)
		return condition()
	})
}

// withoutUpgrades is the URL of a proxy that does not know how to upgrade.
func (s *rig) withoutUpgrades() string {
	target, err := url.Parse(s.app.URL())
	s.must(err)
	listener, err := net.Listen("tcp", stage.FreeAddress())
	s.must(err)
	server := &http.Server{Handler: &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header.Del("Upgrade")
		r.Out.Header.Del("Connection")
	}}}
	go server.Serve(listener)
	s.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}
