package measure

import (
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const adapterBroadcasts = 300 // of one web request

// One web request broadcasts 300 times to a stream. The test measures Puma's CPU time for one
// broadcast, with Rails' adapters redis and async and 1 or 100 browsers, natively and through
// catenary in turn. With async, Rails forwards its broadcasts to catenary. It prints the median of
// the rounds.
func TestCost_OfBroadcasts(t *testing.T) {
	if *costRounds == 0 {
		t.Skip("run with -cost 3 to measure")
	}
	stage.Race = false
	fmt.Printf("### Rails %s, a broadcast\n| adapter, browsers | Action Cable | catenary |\n| --- | --- | --- |\n", stage.RailsVersion())
	for _, adapter := range []string{"redis", "async"} {
		for _, browsers := range []int{1, 100} {
			servers := []*broadcastServer{
				newBroadcastServer(t, "rails", adapter, browsers), newBroadcastServer(t, "catenary", adapter, browsers),
			}
			for range *costRounds + 1 {
				for _, s := range servers {
					s.measure(t)
				}
			}
			native, ours := laterMedian(servers[0].cpus), laterMedian(servers[1].cpus)
			fmt.Printf("| %s, %d | %.2f ms | %.2f ms (× %.2g) |\n", adapter, browsers, native, ours, ours/native)
		}
	}
	fmt.Println()
}

// A broadcastServer has browsers on one stream, and the measured milliseconds of each round.
type broadcastServer struct {
	world    *stage.World
	browsers []*stage.Browser
	cpus     []float64
}

func newBroadcastServer(t *testing.T, server, adapter string, browsers int) *broadcastServer {
	w, err := stage.StartWorld(server, "", "LAB_ADAPTER="+adapter)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	s := &broadcastServer{world: w}
	for range browsers {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, nil))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		b.Send(stage.Command("subscribe", `{"channel":"StreamChannel","s":"cost"}`, nil))
		for range 2 { // welcome and confirmation
			err := expectAnswer(b)
			if err != nil {
				t.Fatal(err)
			}
		}
		s.browsers = append(s.browsers, b)
	}
	return s
}

func (s *broadcastServer) measure(t *testing.T) {
	pid := s.world.App.Process.Command.Process.Pid
	before := cpu(pid)
	err := s.world.App.Ask(fmt.Sprintf(`POST /broadcasts {"stream":"cost","count":%d}`, adapterBroadcasts))
	if err != nil {
		t.Fatal(err)
	}
	for range adapterBroadcasts {
		for _, b := range s.browsers {
			err := expectAnswer(b)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	s.cpus = append(s.cpus, (cpu(pid)-before)/adapterBroadcasts)
}
