package measure

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var pagesRounds = flag.Int("pages", 0, "rounds of TestPages, such as 9")

const (
	pagesBrowsers = 60
	pagesRound    = 3 * time.Second
	pagesEvery    = 20 * time.Millisecond
)

// loads are what sixty browsers do in each round: each connects anew for every few commands, or
// remains connected.
var loads = []struct {
	name     string
	commands int // of each connection
}{{"connections", 5}, {"commands", 1e9}}

// A page is requested every 20 ms from one Puma, beside browsers that wait for nothing but their
// answers. The servers take turns: Rails alone, and one to three nodes in front of it. The test
// prints the medians of the rounds.
func TestPages_BesideBrowsers(t *testing.T) {
	if *pagesRounds == 0 {
		t.Skip("run with -pages 9 to measure")
	}
	stage.Race = false
	native, err := stage.StartWorld("rails", "own", "LAB_DISABLE_FORGERY_PROTECTION=true")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(native.Close)
	servers := []*pagesServer{{name: "Action Cable", app: native.App, addresses: []string{native.Address}}}
	for nodes := 1; nodes <= 3; nodes++ {
		e := stage.StartEdge(t, nodes, "", "--limits-handshakes-per-second-per-address", "0")
		s := &pagesServer{name: fmt.Sprintf("catenary, nodes: %d", nodes), app: e.App}
		for i, node := range e.Nodes {
			e.WaitForMetric(i, "catenary_rails_processes 1")
			s.addresses = append(s.addresses, node.Address)
		}
		servers = append(servers, s)
	}
	for _, load := range loads {
		t.Run(load.name, func(t *testing.T) { measurePages(t, servers, load.name, load.commands) })
	}
}

func measurePages(t *testing.T, servers []*pagesServer, name string, commands int) {
	for _, s := range servers {
		s.medians, s.late, s.longest, s.rates = nil, nil, nil, nil
	}
	for range *pagesRounds + 1 {
		for _, s := range servers {
			s.measure(t, commands)
		}
	}
	fmt.Printf("### Rails %s, a page beside %d browsers: %s\n| | median | 99 %% | longest | commands a second |\n| --- | ---: | ---: | ---: | ---: |\n", stage.RailsVersion(), pagesBrowsers, name)
	for _, s := range servers {
		t.Logf("%s: 99 %% of each round: %.0f ms", s.name, s.late)
		fmt.Printf("| %s | %.1f ms | %.1f ms | %.1f ms | %.0f |\n", s.name, laterMedian(s.medians), laterMedian(s.late), laterMedian(s.longest), laterMedian(s.rates))
	}
	fmt.Println()
}

// A pagesServer is a Puma, where browsers reach it, and the figures of each round.
type pagesServer struct {
	name                          string
	app                           *stage.App
	addresses                     []string
	medians, late, longest, rates []float64
}

func (s *pagesServer) measure(t *testing.T, commands int) {
	var answers atomic.Int64
	var browsers, pages sync.WaitGroup
	end := time.Now().Add(pagesRound)
	for i := range pagesBrowsers {
		address := s.addresses[i%len(s.addresses)]
		browsers.Go(func() {
			for time.Now().Before(end) {
				if err := visit(address, commands, end, &answers); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	client := http.Client{Timeout: stage.Patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var mu sync.Mutex
	var times []float64
	for ticker := time.NewTicker(pagesEvery); time.Now().Before(end); <-ticker.C {
		pages.Go(func() {
			began := time.Now()
			response, err := client.Get(s.app.URL() + "/up")
			if err != nil {
				t.Error(err)
				return
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
			mu.Lock()
			defer mu.Unlock()
			times = append(times, float64(time.Since(began).Microseconds())/1000)
		})
	}
	pages.Wait()
	browsers.Wait()
	slices.Sort(times)
	s.medians = append(s.medians, times[len(times)/2])
	s.late = append(s.late, times[len(times)*99/100])
	s.longest = append(s.longest, times[len(times)-1])
	s.rates = append(s.rates, float64(answers.Load())/pagesRound.Seconds())
	time.Sleep(time.Second) // let the disconnect callbacks run
}

// visit opens a connection, subscribes, and sends commands, until the end at the latest.
func visit(address string, commands int, end time.Time, answers *atomic.Int64) error {
	const identifier = `{"channel":"EchoChannel"}`
	b, err := stage.Dial(address, stage.Handshake("GET", "/cable", address, nil))
	if err != nil {
		return err
	}
	defer b.Close()
	err = expectAnswer(b) // welcome
	next := stage.Command("subscribe", identifier, nil)
	for range commands + 1 {
		if err != nil || time.Now().After(end) {
			return err
		}
		b.Send(next)
		err = expectAnswer(b)
		answers.Add(1)
		next = stage.Command("message", identifier, `{"action":"echo"}`)
	}
	return err
}
