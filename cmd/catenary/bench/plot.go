package bench

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
)

// Bin counts durations longer than From and not longer than To.
type Bin struct {
	From, To time.Duration
	Count    int64
}

// bins returns the counts between 1, 2, 5, 10, … of each unit, without empty bins at either end.
func (h *histogram) bins() (all []Bin) {
	from, at := time.Duration(0), 0
	for power := time.Microsecond; power < time.Hour; power *= 10 {
		for _, step := range []time.Duration{1, 2, 5} {
			bin := Bin{From: from, To: step * power}
			for ; at < len(h.buckets) && upperBound(at) <= bin.To; at++ {
				bin.Count += h.buckets[at].Load()
			}
			if bin.Count > 0 || len(all) > 0 {
				all = append(all, bin)
			}
			from = bin.To
		}
	}
	for len(all) > 0 && all[len(all)-1].Count == 0 {
		all = all[:len(all)-1]
	}
	return all
}

// plotWidth is the width of the longest bar, in characters.
const plotWidth = 40

// WritePlots draws the distribution of times, for a terminal.
func (r *Report) WritePlots(to io.Writer) error {
	out := bufio.NewWriter(to)
	for _, result := range r.Results {
		var most, all int64
		for _, bin := range result.Spread {
			most, all = max(most, bin.Count), all+bin.Count
		}
		if all == 0 {
			continue
		}
		fmt.Fprintf(out, "\n%s, %s\n", result.Scenario, result.spreadOf())
		for _, bin := range result.Spread {
			bar := strings.Repeat("█", int(bin.Count*plotWidth/most))
			if bar == "" && bin.Count > 0 {
				bar = "▏"
			}
			share := 100 * float64(bin.Count) / float64(all)
			fmt.Fprintf(out, "  %7s – %-7s%-*s %5.1f %%\n", short(bin.From), short(bin.To), plotWidth+1, bar, share)
		}
	}
	return out.Flush()
}

func (r Result) spreadOf() string {
	if r.Scenario == "storm" {
		return "time until confirmed"
	}
	return "latency"
}

// short formats a duration as 500µs, 2ms or 5s.
func short(d time.Duration) string {
	if d == 0 {
		return "0"
	}
	return d.String()
}
