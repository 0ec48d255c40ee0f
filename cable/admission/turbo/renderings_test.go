package turbo

import (
	"testing"
	"time"
)

func TestRenderings_AreForgotten(t *testing.T) {
	r := NewRenderings(time.Minute)
	now := time.Now()
	one := r.Hold("n", now)
	if other := r.Hold("n", now); other != one || r.Shared(one) {
		t.Error("two connections of one browser do not count as one rendering")
	}
	for _, step := range []struct{ at, wait time.Duration }{
		{0, 0}, {0, time.Minute}, {59 * time.Second, time.Second}, {time.Minute, 0}, {time.Minute, time.Minute},
	} {
		if wait := r.Load(one, now.Add(step.at)); wait != step.wait {
			t.Errorf("after %v: wait %v, not %v", step.at, wait, step.wait)
		}
	}
	r.Release(one)
	r.Release(one)
	if len(r.byNonce) != 1 {
		t.Error("forgotten before it may be loaded again")
	}
	r.forget(one)
	r.Release(r.Hold("other", now))
	if len(r.byNonce) != 0 {
		t.Errorf("%d renderings are left", len(r.byNonce))
	}
}
