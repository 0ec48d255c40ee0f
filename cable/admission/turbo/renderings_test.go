package turbo

import (
	"fmt"
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

// The cost of checking a page's stamp at a subscription, with 10,000 other pages.
func BenchmarkRenderings(b *testing.B) {
	stamps, all := NewStamps("a secret"), NewRenderings(time.Minute)
	now := time.Now()
	for i := range 10_000 {
		all.Hold(fmt.Sprint(i), now)
	}
	identifier := `{"channel":"Turbo::StreamsChannel",` +
		`"signed_stream_name":"IloybGtPaTh2WVhCd0wxSnZiMjB2TVEi--20c695f4ef539db0aa40b62f363f2e05b893063a1b13299c8fb086c49759ac23",` +
		`"catenary_stamp":"` + stamps.Sign(Stamp{"XXXXXXXXXXX", now}) + `"}`
	b.ReportAllocs()
	for b.Loop() {
		stamp, _ := stamps.Read(identifier)
		all.Release(all.Hold(stamp.Rendering, stamp.Time))
	}
}
