package measure

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const (
	blockBrowsers   = 100
	blockBroadcasts = 30
)

// blocks are channels with streams that run Ruby for each browser, and requests that broadcast to
// all of them.
var blocks = []struct{ name, identifier, action, broadcast string }{
	{"a block that transmits", `{"channel":"CbChannel"}`, "", `POST /broadcast {"stream":"cb_json","message":{"n":1}}`},
	{"GraphQL, everybody's own query", `{"channel":"GraphqlChannel"}`, `{"action":"execute","query":"query %d","topic":"order"}`,
		`POST /trigger {"topic":"order","object":{"n":1}}`},
}

// A hundred browsers of one process have a stream with a block each. The test measures a broadcast:
// Puma's CPU time, and the time until all browsers have the result, natively and through catenary
// in turn. It prints the median of the rounds.
func TestCost_OfBroadcastsToBlocks(t *testing.T) {
	if *costRounds == 0 {
		t.Skip("run with -cost 3 to measure")
	}
	stage.Race = false
	fmt.Printf("### Rails %s, a broadcast for %d blocks\n| | Action Cable | catenary |\n| --- | --- | --- |\n", stage.RailsVersion(), blockBrowsers)
	for i := range blocks {
		servers := []*blockServer{newBlockServer(t, "rails", i), newBlockServer(t, "catenary", i)}
		for range *costRounds + 1 {
			for _, s := range servers {
				s.broadcast(t, blocks[i].broadcast)
			}
		}
		cpus, times := [2]float64{}, [2]float64{}
		for j, s := range servers {
			cpus[j], times[j] = laterMedian(s.cpus), laterMedian(s.times)
		}
		for _, row := range []struct {
			what    string
			figures [2]float64
		}{{"Puma's CPU", cpus}, {"until all have it", times}} {
			native, ours := row.figures[0], row.figures[1]
			fmt.Printf("| %s: %s | %.1f ms | %.1f ms (× %.1f) |\n", blocks[i].name, row.what, native, ours, ours/native)
		}
	}
	fmt.Println()
}

// laterMedian returns the median without the first round, which warms up.
func laterMedian(all []float64) float64 {
	later := slices.Sorted(slices.Values(all[1:]))
	return later[len(later)/2]
}

// A blockServer has browsers with a block each, and the measured milliseconds of each broadcast.
type blockServer struct {
	world       *stage.World
	browsers    []*stage.Browser
	cpus, times []float64
}

func newBlockServer(t *testing.T, server string, kind int) *blockServer {
	w, err := stage.StartWorld(server, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	s := &blockServer{world: w}
	identifier, action := blocks[kind].identifier, blocks[kind].action
	for i := range blockBrowsers {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, nil))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		s.browsers = append(s.browsers, b)
		commands := []string{stage.Command("subscribe", identifier, nil)}
		if action != "" {
			commands = append(commands, stage.Command("message", identifier, fmt.Sprintf(action, i)))
		}
		err = expectAnswer(b) // welcome
		for _, command := range commands {
			if err == nil {
				b.Send(command)
				err = expectAnswer(b)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *blockServer) broadcast(t *testing.T, request string) {
	pid := s.world.App.Process.Command.Process.Pid
	before, began := cpu(pid), time.Now()
	for range blockBroadcasts {
		if err := s.world.App.Ask(request); err != nil {
			t.Fatal(err)
		}
		for _, b := range s.browsers {
			if err := expectAnswer(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.times = append(s.times, float64(time.Since(began).Microseconds())/1000/blockBroadcasts)
	s.cpus = append(s.cpus, (cpu(pid)-before)/blockBroadcasts)
}
