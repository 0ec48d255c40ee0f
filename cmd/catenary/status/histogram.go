package status

import (
	"maps"
	"slices"
)

// Histogram counts durations up to bounds, as Prometheus does.
type Histogram struct {
	bounds []float64 // seconds, ascending
	upTo   []uint64  // how many took at most so long
	all    uint64
}

// NewHistogram takes how many took at most so many seconds, and how many there
// are.
func NewHistogram(upTo map[float64]uint64, all uint64) Histogram {
	h := Histogram{bounds: slices.Sorted(maps.Keys(upTo)), all: all}
	for _, bound := range h.bounds {
		h.upTo = append(h.upTo, upTo[bound])
	}
	return h
}

// Plus adds one with the same bounds.
func (h Histogram) Plus(other Histogram) Histogram {
	return h.with(other, func(a, b uint64) uint64 { return a + b })
}

// since leaves what has come after an earlier one.
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

// milliseconds is the quantile q, read off between two bounds as Prometheus'
// histogram_quantile does; nil if there is nothing to tell of.
func (h Histogram) milliseconds(q float64) *float64 {
	if h.all == 0 {
		return nil
	}
	rank, lower, below := q*float64(h.all), 0.0, 0.0
	for i, bound := range h.bounds {
		if here := float64(h.upTo[i]); here >= rank {
			value := 1000 * (lower + (bound-lower)*(rank-below)/max(here-below, 1))
			return &value
		} else {
			lower, below = bound, here
		}
	}
	value := 1000 * lower // longer than all bounds
	return &value
}
