package hub

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"
)

func TestTraffic_HasTheRateOfTheLastSeconds(t *testing.T) {
	var quiet, busy traffic
	second := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	for s := range 25 {
		busy.add(second(float64(s)), 1, 100)
	}
	for at, want := range map[float64]float64{24.5: 0, 25: 0} {
		if got := quiet.rate(second(at)); got != want {
			t.Errorf("quiet, %v s: %v per second, want %v", at, got, want)
		}
	}
	for _, c := range []struct{ at, want float64 }{{25, 100}, {27, 80}, {35, 25}, {60, 0}} {
		if got := busy.rate(second(c.at)); got < c.want-0.01 || got > c.want+0.01 {
			t.Errorf("busy, %v s: %v per second, want %v", c.at, got, c.want)
		}
	}
	if busy.deliveries != 2500 || busy.broadcasts != 25 {
		t.Errorf("%+v", busy)
	}
}

func TestStreamsByTraffic_AreTheAppsOwnInOrder(t *testing.T) {
	h, to := New(idle{}, slog.New(slog.DiscardHandler)), closedSocket(t)
	var running sync.WaitGroup
	for i := range h.shards {
		running.Go(func() { h.shards[i].run(h.dropped) })
	}
	h.Listen("_catenary/n", func([]byte) {})
	for i := range 3 {
		for n := range i + 1 { // the first has one stream, the last three
			h.Join(fmt.Sprint("s", n), "room", &Member{Socket: to, Subscriber: ignoring{}})
		}
	}
	for range 5 {
		h.deliver("s2", []byte(`"hello"`))
	}
	h.deliver("s0", []byte(`"hello"`))
	for i := range h.shards {
		h.shards[i].stop()
	}
	running.Wait()
	if n := h.Stats().Deliveries; n != 8 {
		t.Errorf("%d deliveries are counted", n)
	}
	got := h.StreamsByTraffic(2)
	summary := fmt.Sprint(got.All)
	for _, s := range append(got.Busiest, got.Largest...) {
		summary += fmt.Sprintf(", %s: %d to %d", s.Name, s.Deliveries, s.Members)
	}
	if want := "3, s2: 5 to 1, s0: 3 to 3, s0: 3 to 3, s1: 0 to 2"; summary != want {
		t.Errorf("got  %s\nwant %s", summary, want)
	}
	if got.Busiest[0].Rate <= 0 {
		t.Errorf("the busiest has no rate: %+v", got.Busiest[0])
	}
}
