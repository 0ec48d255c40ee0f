package stats

import (
	"testing"
	"time"
)

func TestLatencies_AreCountedByBucket(t *testing.T) {
	var one, sum Latencies
	for _, took := range []time.Duration{0, 100 * time.Microsecond, time.Millisecond + 1, time.Minute} {
		one.Add(took)
	}
	sum.AddAll(&one)
	sum.AddAll(&one)
	upTo, all := sum.Buckets()
	if upTo[0.0001] != 4 || upTo[0.001] != 4 || upTo[0.0025] != 6 || upTo[10] != 6 || all != 8 {
		t.Errorf("%v of %d", upTo, all)
	}
	if want := 2 * (time.Minute + 1100*time.Microsecond + 1); sum.Sum != want {
		t.Errorf("sum %v, want %v", sum.Sum, want)
	}
}
