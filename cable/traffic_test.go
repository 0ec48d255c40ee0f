package cable

import (
	"fmt"
	"testing"
	"time"
)

func TestTraffic_TellsThePaceOfTheLastSeconds(t *testing.T) {
	var quiet, busy traffic
	second := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	for s := range 25 {
		busy.add(second(float64(s)), 1, 100)
	}
	for at, want := range map[float64]float64{24.5: 0, 25: 0} {
		if got := quiet.pace(second(at)); got != want {
			t.Errorf("quiet, %v s: %v a second, want %v", at, got, want)
		}
	}
	for _, c := range []struct{ at, want float64 }{{25, 100}, {27, 80}, {35, 25}, {60, 0}} {
		if got := busy.pace(second(c.at)); got < c.want-0.01 || got > c.want+0.01 {
			t.Errorf("busy, %v s: %v a second, want %v", c.at, got, c.want)
		}
	}
	if busy.deliveries != 2500 || busy.came != 25 {
		t.Errorf("%+v", busy)
	}
}

func TestStreamsByTraffic_AreTheAppsOwnInOrder(t *testing.T) {
	w := newWorld(t)
	browsers := []*browser{w.welcomed(), w.welcomed(), w.welcomed()}
	for i, b := range browsers {
		for n := range i + 1 { // the first has one stream, the last three
			identifier := fmt.Sprintf("room s%d", n)
			b.subscribe(identifier)
			b.expect(confirmed(identifier))
		}
	}
	for range 5 {
		w.source.Publish(t.Context(), "s2", []byte(`"hello"`))
	}
	w.source.Publish(t.Context(), "s0", []byte(`"hello"`))
	w.eventually("deliveries are counted", func() bool { return w.server.hub.Stats().Deliveries == 8 })
	got := w.server.hub.StreamsByTraffic(2)
	summary := fmt.Sprint(got.All)
	for _, s := range append(got.Busiest, got.Largest...) {
		summary += fmt.Sprintf(", %s: %d to %d", s.Name, s.Deliveries, s.Members)
	}
	if want := "3, s2: 5 to 1, s0: 3 to 3, s0: 3 to 3, s1: 0 to 2"; summary != want {
		t.Errorf("got  %s\nwant %s", summary, want)
	}
	if got.Busiest[0].Pace <= 0 {
		t.Errorf("the busiest has no pace: %+v", got.Busiest[0])
	}
}
