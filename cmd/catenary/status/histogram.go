package status

import (
	"maps"
	"slices"
)

// Histogram counts durations in cumulative buckets, as Prometheus does.
type Histogram struct {
	bounds []float64 // seconds, ascending
	upTo   []uint64  // by bound: how many were not longer
	all    uint64
}

// NewHistogram takes the cumulative count for each bound in seconds, and the count of all.
func NewHistogram(upTo map[float64]uint64, all uint64) Histogram {
	h := Histogram{bounds: slices.Sorted(maps.Keys(upTo)), all: all}
	for _, bound := range h.bounds {
		h.upTo = append(h.upTo, upTo[bound])
	}
	return h
}

// Plus adds a histogram with the same bounds.
func (h Histogram) Plus(other Histogram) Histogram {
	return h.with(other, func(a, b uint64) uint64 { return a + b })
}

// since subtracts an earlier state of the same histogram.
func (h Histogram) since(earlier Histogram) Histogram {
	return h.with(earlier, func(a, b uint64) uint64 { return a - min(a, b) })
}

func (h Histogram) with(other Histogram, op func(a, b uint64) uint64) Histogram {
	switch {
	case len(other.upTo) == 0:
		return h
	case len(h.upTo) == 0:
		h.bounds, h.upTo = other.bounds, make([]uint64, len(other.upTo))
	}
	result := Histogram{bounds: h.bounds, upTo: make([]uint64, len(h.upTo)), all: op(h.all, other.all)}
	for i := range h.upTo {
		result.upTo[i] = op(h.upTo[i], other.upTo[i])
	}
	return result
}

// milliseconds returns the quantile q, interpolated between two bounds as Prometheus'
// histogram_quantile does, or nil if the histogram is empty.
func (h Histogram) milliseconds(q float64) *float64 {
	if h.all == 0 {
		return nil
	}
	rank, lower, below := q*float64(h.all), 0.0, 0.0
	for i, bound := range h.bounds {
		here := float64(h.upTo[i])
		if here >= rank {
			value := 1000 * (lower + (bound-lower)*(rank-below)/max(here-below, 1))
			return &value
		}
		lower, below = bound, here
	}
	value := 1000 * lower // longer than the last bound
	return &value
}
