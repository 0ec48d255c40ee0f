package measure

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var costRounds = flag.Int("cost", 0, "rounds of TestCost, for `make cost`")

const (
	// costBrowsers connect and subscribe. With 200, Ruby's full collections fell into one phase or
	// another: a subscribe took 1.1 to 1.9 times the native CPU time.
	costBrowsers = 800
	costPerforms = 4 // of each browser
)

// The test measures Puma's CPU time for one command: natively, through catenary on the objects that
// Rails still holds (live), and with objects rebuilt at every command. The servers take turns. It
// prints the median of the rounds.
func TestCost_OfCommands(t *testing.T) {
	if *costRounds == 0 {
		t.Skip("run with -cost 3 to measure")
	}
	stage.Race = false
	servers := []string{"rails", "catenary", "rebuilt"}
	phases := []string{"connect", "subscribe", "perform"}
	figures := map[[2]string][]float64{}
	var worlds []*stage.World
	for _, server := range servers {
		w, err := stage.StartWorld(server, "")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		worlds = append(worlds, w)
	}
	for round := range *costRounds + 1 {
		for i, server := range servers {
			cost, err := measureCost(worlds[i])
			if err != nil {
				t.Fatalf("%s: %v", server, err)
			}
			for p, phase := range phases {
				if round > 0 { // the first round warms up
					figures[[2]string{server, phase}] = append(figures[[2]string{server, phase}], cost[p])
				}
			}
		}
	}
	median := func(server, phase string) float64 {
		all := figures[[2]string{server, phase}]
		slices.Sort(all)
		return all[len(all)/2]
	}
	fmt.Printf("### Rails %s\n| | Action Cable | catenary, live | catenary, rebuilt |\n| --- | --- | --- | --- |\n", stage.RailsVersion())
	for _, phase := range phases {
		native, live, rebuilt := median("rails", phase), median("catenary", phase), median("rebuilt", phase)
		fmt.Printf("| %s | %.2f ms | %.2f ms (× %.1f) | %.2f ms (× %.1f) |\n", phase, native, live, live/native, rebuilt, rebuilt/native)
	}
	fmt.Println()
}

// measureCost returns the milliseconds of Puma's CPU time for one connect, one subscribe and one
// perform.
func measureCost(w *stage.World) (cost [3]float64, err error) {
	const identifier = `{"channel":"CounterChannel"}`
	browsers := make([]*stage.Browser, costBrowsers)
	defer func() {
		for _, b := range browsers {
			if b != nil {
				b.Close()
			}
		}
		time.Sleep(2 * time.Second) // let the disconnect callbacks run
	}()
	measure := func(phase, commands int, do func(i int) error) {
		before := cpu(w.App.Process.Command.Process.Pid)
		if e := fourAtOnce(costBrowsers, do); e != nil && err == nil {
			err = e
		}
		time.Sleep(700 * time.Millisecond) // Rails hands over the state after a quiet while
		cost[phase] = (cpu(w.App.Process.Command.Process.Pid) - before) / float64(commands)
	}
	measure(0, costBrowsers, func(i int) (err error) {
		if browsers[i], err = stage.Dial(w.Address, stage.Handshake("GET", "/cable?tenant=acme", w.Address, nil)); err != nil {
			return err
		}
		return expectAnswer(browsers[i])
	})
	measure(1, costBrowsers, func(i int) error {
		browsers[i].Send(stage.Command("subscribe", identifier, nil))
		return expectAnswer(browsers[i])
	})
	measure(2, costBrowsers*costPerforms, func(i int) error {
		for range costPerforms {
			browsers[i].Send(stage.Command("message", identifier, `{"action":"increment"}`))
			if err := expectAnswer(browsers[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return cost, err
}

func expectAnswer(b *stage.Browser) error {
	if e, ok := stage.NextFrame(b); !ok || e.Kind != "text" || strings.Contains(e.Text, "disconnect") {
		return fmt.Errorf("no answer: %v", e)
	}
	return nil
}

func fourAtOnce(n int, do func(i int) error) error {
	var workers sync.WaitGroup
	failed := make(chan error, 4)
	for worker := range 4 {
		workers.Go(func() {
			for i := worker; i < n; i += 4 {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	workers.Wait()
	close(failed)
	return <-failed
}

// cpu returns the milliseconds of CPU time that a process has used, to the microsecond. /proc
// counts in hundredths of a second.
func cpu(pid int) float64 {
	const scheduled = 2 // CPUCLOCK_SCHED of a process, see clock_getcpuclockid(3)
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduled), &used); err != nil {
		return 0
	}
	return float64(used.Nano()) / 1e6
}
