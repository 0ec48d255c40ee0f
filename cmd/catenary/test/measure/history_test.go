package measure

import (
	"fmt"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// One web request broadcasts 1,000 times, to a stream with a history and to one without, in turn. The
// test measures the CPU time of Puma and of Redis, with a subscriber on each of two nodes, and prints the
// median of the rounds.
func TestCost_OfHistory(t *testing.T) {
	if *costRounds == 0 {
		t.Skip("run with -cost 3 to measure")
	}
	stage.Race = false
	const broadcasts = 1000
	w, err := stage.StartWorld("catenary", "", `LAB_HISTORY={"kept":{}}`)
	t.Cleanup(w.Close)
	if err != nil {
		t.Fatal(err)
	}
	another, err := stage.StartCatenary(w.App)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(another.Process.Kill)
	streams := []string{"plain", "kept"}
	for _, node := range []*stage.Catenary{w.Catenary, another} {
		for _, stream := range streams {
			b, err := stage.Dial(node.Address, stage.Handshake("GET", "/cable", node.Address, nil))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			b.Send(stage.Command("subscribe", `{"channel":"StreamChannel","s":"`+stream+`"}`, nil))
			if !b.WaitForText("confirm_subscription") {
				t.Fatal("no confirmation")
			}
			go b.Discard()
		}
	}
	puma, redis := w.App.Process.Command.Process.Pid, w.Redis.Process.Command.Process.Pid
	used := map[string][2][]float64{}
	for range *costRounds + 1 {
		for _, stream := range streams {
			before := [2]float64{cpu(puma), cpu(redis)}
			if err := w.App.Ask(fmt.Sprintf(`POST /broadcasts {"stream":%q,"count":%d}`, stream, broadcasts)); err != nil {
				t.Fatal(err)
			}
			all := used[stream]
			for i, pid := range []int{puma, redis} {
				all[i] = append(all[i], (cpu(pid)-before[i])/broadcasts*1000)
			}
			used[stream] = all
		}
	}
	fmt.Printf("### Rails %s, µs of CPU for a broadcast\n| | without a history | with |\n| --- | --- | --- |\n", stage.RailsVersion())
	for i, process := range []string{"Puma", "Redis"} {
		fmt.Printf("| %s | %.0f | %.0f |\n", process, laterMedian(used["plain"][i]), laterMedian(used["kept"][i]))
	}
	fmt.Println()
}
