package top

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// short formats a number in few characters: 950, 12.3k, 4.1M.
func short(value float64) string {
	for _, unit := range []struct {
		name         string
		from, divide float64
	}{{"G", 1e9, 1e9}, {"M", 1e6, 1e6}, {"k", 1e4, 1e3}} {
		if value >= unit.from {
			return trimmed(value/unit.divide) + unit.name
		}
	}
	return trimmed(value)
}

func trimmed(value float64) string {
	switch {
	case math.IsNaN(value):
		return "–"
	case value >= 100 || value == math.Trunc(value):
		return strconv.FormatFloat(value, 'f', 0, 64)
	case value >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	}
	return strings.TrimRight(strings.TrimRight(strconv.FormatFloat(value, 'f', 2, 64), "0"), ".")
}

func rate(value float64) string { return short(value) + "/s" }

func milliseconds(value float64) string {
	if value >= 1000 {
		return trimmed(value/1000) + " s"
	}
	return trimmed(value) + " ms"
}

func percent(value float64) string { return trimmed(math.Round(1000*value)/10) + " %" }

func bytes(value float64) string { return trimmed(value/(1<<20)) + " MiB" }

func orNone(value *float64) float64 {
	if value == nil {
		return math.NaN()
	}
	return *value
}

func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d h", int(d.Hours()))
}
