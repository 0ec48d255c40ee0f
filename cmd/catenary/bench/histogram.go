package bench

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations in buckets, 64 for each power of two, so that percentiles are exact to
// 1.6 %. Any number of goroutines may add at once.
type histogram struct {
	buckets [64 * 64]atomic.Int64
	count   atomic.Int64
	longest atomic.Int64
}

func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.buckets[bucket(uint64(d))].Add(1)
	h.count.Add(1)
	for {
		longest := h.longest.Load()
		if int64(d) <= longest || h.longest.CompareAndSwap(longest, int64(d)) {
			return
		}
	}
}

func (h *histogram) max() time.Duration { return time.Duration(h.longest.Load()) }

// percentile returns the duration that a share p of all, between 0 and 1, does not exceed; 0 if the
// histogram is empty.
func (h *histogram) percentile(p float64) time.Duration {
	rank, seen := int64(p*float64(h.count.Load())), int64(0)
	for i := range h.buckets {
		seen += h.buckets[i].Load()
		if seen > rank {
			return min(upperBound(i), h.max())
		}
	}
	return h.max()
}

func bucket(v uint64) int {
	if v < 64 {
		return int(v)
	}
	shift := bits.Len64(v) - 7 // so that v>>shift is in [64, 128)
	return shift*64 + int(v>>shift)
}

func upperBound(bucket int) time.Duration {
	if bucket < 128 {
		return time.Duration(bucket)
	}
	shift := bucket/64 - 1
	return time.Duration(uint64(bucket%64+64+1)<<shift - 1)
}
