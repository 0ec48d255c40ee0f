package bench

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// figure is something that is measured. Its key ends in the unit, optionally with a dot and the
// name of one of the server's processes.
type figure struct {
	key    string
	title  string
	unit   string
	better better
}

type better int8

const (
	neither better = 0
	lower   better = -1
	higher  better = 1
	never   better = 2 // should be 0: the worst run counts
)

// figures are all figures, in the order of tables.
var figures = []figure{
	{"connections", "connections", "", neither},
	{"memory_kb_per_connection", "memory per connection", "KB", lower},
	{"pings", "pings", "", neither},
	{"ping_gap_max_ms", "longest gap between pings", "ms", neither},
	{"cpu_us_per_ping_after_opening", "server CPU per ping, just after opening", "µs", lower},
	{"cpu_us_per_ping", "server CPU per ping", "µs", lower},
	{"deliveries", "deliveries", "", neither},
	{"deliveries_per_s", "deliveries per second", "", higher},
	{"round_trips", "round trips", "", neither},
	{"round_trips_per_s", "round trips per second", "", higher},
	{"latency_p50_ms", "latency, median", "ms", lower},
	{"latency_p95_ms", "latency, 95 %", "ms", lower},
	{"latency_p99_ms", "latency, 99 %", "ms", lower},
	{"latency_max_ms", "latency, worst", "ms", lower},
	{"cpu_s_per_million", "server CPU per million deliveries", "s", lower},
	{"cpu_us_per_round_trip", "server CPU per round trip", "µs", lower},
	{"confirmed", "connected and confirmed", "", neither},
	{"confirmed_per_s", "confirmed per second", "", higher},
	{"confirm_first_ms", "until the first is confirmed", "ms", lower},
	{"confirm_p50_ms", "until confirmed, median", "ms", lower},
	{"confirm_p99_ms", "until confirmed, 99 %", "ms", lower},
	{"confirm_max_ms", "until confirmed, worst", "ms", lower},
	{"cpu_us_per_connection", "server CPU per connection", "µs", lower},
	{"failed", "failed", "", never},
	{"lost", "lost", "", never},
	{"duplicated", "duplicated", "", never},
	{"reordered", "out of order", "", never},
	{"dropped", "dropped by the server", "", never},
	{"bench_cores", "cores used by the bench itself", "", neither},
}

// rank is the position of a key in tables, -1 if it is unknown.
func rank(key string) int {
	name, _, _ := strings.Cut(key, ".")
	return slices.IndexFunc(figures, func(f figure) bool { return f.key == name })
}

// describe returns the figure of a key.
func describe(key string) figure {
	f := figures[rank(key)]
	if _, process, found := strings.Cut(key, "."); found {
		f.title += ", of it " + process
	}
	return f
}

// sortedKeys returns the known keys, in the order of tables.
func sortedKeys(values map[string]float64) (keys []string) {
	for key := range values {
		if rank(key) >= 0 {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		if rank(a) != rank(b) {
			return rank(a) - rank(b)
		}
		return strings.Compare(a, b)
	})
	return keys
}

// format writes a value with three significant digits, and its unit.
func (f figure) format(value float64) string {
	text := thousands(value)
	if f.unit != "" {
		text += " " + f.unit
	}
	return text
}

func thousands(value float64) string {
	size := math.Abs(value)
	switch {
	case size < 1000 && value == math.Trunc(value):
		return fmt.Sprintf("%.0f", value)
	case size < 10:
		return fmt.Sprintf("%.2f", value)
	case size < 100:
		return fmt.Sprintf("%.1f", value)
	}
	text := fmt.Sprintf("%.0f", value)
	first := strings.IndexFunc(text, func(r rune) bool { return r != '-' })
	for at := len(text) - 3; at > first; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
