package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A soak is a stage on which everything happens at once for a while: browsers come, act and leave, and one fault follows another.
// Afterwards the accounts must be right.
type soak struct {
	*rig
	chance *rand.Rand // of the faults
	gaps   [][2]int   // numbers between these may be missing: catenary has declared a gap
	heap   [2]float64 // bytes, before and after
	faults map[string]int
}

// ridersAtMost is what the accounts of this machine keep up with.
const ridersAtMost = 50

// soakFaults are struck again and again. held is how long each lasts at most; the broadcasts of those of Redis may be missed.
var soakFaults = []struct {
	name         string
	held         time.Duration
	redis        bool
	strike, mend func(*soak)
}{
	{"Redis killed", time.Second, true, func(s *soak) { s.redis.Down() }, func(s *soak) { s.must(s.redis.Up()) }},
	{"Redis stopped", 4 * time.Second, true,
		func(s *soak) { s.redis.Process.Signal(syscall.SIGSTOP) }, func(s *soak) { s.redis.Process.Signal(syscall.SIGCONT) }},
	{"Redis' connections cut", 0, true, func(s *soak) { s.toRedis.Cut() }, func(s *soak) {}},
	{"Redis unreachable", 15 * time.Second, true, func(s *soak) { s.toRedis.Lose(stage.ToTarget | stage.ToClient) }, func(s *soak) { s.toRedis.Lose(0) }},
	{"Puma restarted", 0, false, func(s *soak) { s.app.Process.Stop(s.T) }, func(s *soak) { s.must(s.app.Up()) }},
	{"Puma killed", time.Second, false, func(s *soak) { s.app.Process.Kill() }, func(s *soak) { s.must(s.app.Up()) }},
	{"one of Puma's workers killed", time.Second, false, func(s *soak) { s.must(killWorker(s.app.Process.Command.Process.Pid)) }, func(s *soak) {}},
	{"Puma restarted worker by worker", time.Second, false, func(s *soak) { s.app.Process.Signal(syscall.SIGUSR1) }, func(s *soak) {}},
	{"browsers cut off", 0, false, func(s *soak) { s.toBrowser.Cut() }, func(s *soak) {}},
	{"browsers' packets lost", 4 * time.Second, false, func(s *soak) { s.toBrowser.Lose(stage.ToTarget | stage.ToClient) }, func(s *soak) { s.toBrowser.Lose(0) }},
}

// TestSoak lasts for SOAK (10 minutes in `make soak`), with the faults that follow from SEED.
func TestSoak(t *testing.T) {
	t.Parallel()
	silenceRedis()
	length, err := time.ParseDuration(setting("SOAK", "20s"))
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	seed, err := strconv.ParseUint(setting("SEED", "1"), 10, 64)
	if err != nil {
		t.Fatalf("SEED: %v", err)
	}
	s := &soak{rig: &rig{T: t, stream: "soak", reached: map[int]bool{}}, chance: rand.New(rand.NewPCG(seed, 0)), faults: map[string]int{}}
	s.startOwnApp("WEB_CONCURRENCY=2", "LAB_PRELOAD=false")
	s.start()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.before, s.heap[0] = s.usage(), s.metric("go_memstats_heap_alloc_bytes")
	publishing, silence := context.WithCancel(t.Context())
	defer silence()
	go s.publish(publishing)
	s.behind = s.join(5, s.toBrowser.Address)
	s.riders = s.join(ridersThere, s.catenary.Address)
	s.awaits("browsers are subscribed", func() bool { return every(s.all, nowSubscribed) })

	done := make(chan struct{})
	go func() {
		defer close(done)
		s.live(ctx)
	}()
	for end := time.Now().Add(length); time.Now().Before(end); {
		s.suffer()
	}
	stop()
	<-done
	there := append(s.behind, s.riders...)
	s.awaits("everybody is subscribed at the end", func() bool { return every(there, nowSubscribed) })
	if !stage.Await(func() bool { return every(there, allAnswered) }) {
		for _, r := range there {
			r.is(func(l *life) bool {
				if !allAnswered(l) {
					s.Errorf("%s by way of %s is not answered: asked %v, answered %v, ran %v, told %q", l.user, r.via, l.sent, l.answers, runs(s.events()[l.user]), l.told)
				}
				return true
			})
		}
		s.Fatalf("catenary wrote at last:\n%s", s.catenary.Process.Output.Tail())
	}
	s.settle(there...)
	silence()
	s.account(length, seed)
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

// suffer has one fault happen, and waits until catenary is ready again.
func (s *soak) suffer() {
	f := soakFaults[s.chance.IntN(len(soakFaults))]
	held := time.Duration(s.chance.Int64N(int64(f.held) + 1))
	s.faults[f.name]++
	gaps, struck := s.metric("catenary_broadcast_gaps_total"), int(s.published.Load())
	f.strike(s)
	time.Sleep(held)
	f.mend(s)
	s.awaits("ready after "+f.name, func() bool { return s.catenary.Ready() == nil })
	time.Sleep(2 * time.Second)
	gap := func() bool { return s.metric("catenary_broadcast_gaps_total") > gaps }
	if f.redis { // a loss is noticed late, and what was only held up arrives late
		last := int(s.published.Load())
		s.awaits("broadcasts arrive after "+f.name, func() bool { return gap() || s.isHeard(last) })
	}
	s.awaits("ready after "+f.name, func() bool { return s.catenary.Ready() == nil })
	if f.redis && gap() {
		s.gaps = append(s.gaps, [2]int{struck - 5, int(s.published.Load()) + 1}) // Redis had taken the last few, and not yet passed them on
	}
}

// isHeard tells whether broadcasts from this number on arrive.
func (s *soak) isHeard(number int) bool {
	return slices.ContainsFunc(s.behind, func(r *rider) bool {
		return r.is(func(l *life) bool { return len(l.heard) > 0 && l.heard[len(l.heard)-1] >= number })
	})
}

// live has browsers come, act and leave.
func (s *soak) live(ctx context.Context) {
	for ctx.Err() == nil {
		switch rand.IntN(10) {
		case 0:
			if len(s.riders) < ridersAtMost {
				s.riders = append(s.riders, s.join(1, s.catenary.Address)...)
			}
		case 1:
			n := rand.IntN(len(s.riders))
			if r := s.riders[n]; len(s.riders) > ridersThere && r.is(nowSubscribed) && r.is(allAnswered) {
				r.leave()
				s.riders = append(s.riders[:n:n], s.riders[n+1:]...)
			}
		default:
			s.riders[rand.IntN(len(s.riders))].act(float64(rand.IntN(3)) / 20)
			s.behind[rand.IntN(len(s.behind))].act(0)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// declared tells whether a number may be missing.
func (s *soak) declared(n int) bool {
	for _, gap := range s.gaps {
		if n > gap[0] && n < gap[1] {
			return true
		}
	}
	return false
}

func (s *soak) account(length time.Duration, seed uint64) {
	for _, r := range s.all {
		r.leave()
	}
	for _, r := range s.all {
		<-r.left
	}
	lives, heard, missed, acted := 0, 0, 0, 0
	for _, r := range s.all {
		for _, l := range r.lives {
			lives++
			heard += len(l.heard)
			acted += len(l.sent)
			if err := l.outOfOrder(); err != nil {
				s.Error(err)
			}
			missed += len(l.missed(0, func(n int) bool { return s.reached[n] && s.declared(n) }))
			if undeclared := l.missed(0, func(n int) bool { return s.reached[n] && !s.declared(n) }); len(undeclared) > 0 {
				s.Errorf("%s has missed %d from %d to %d, which are in no gap of %v", l.user, len(undeclared), undeclared[0], undeclared[len(undeclared)-1], s.gaps)
			}
		}
	}
	var err error
	if !stage.Await(func() bool { err = s.accountForCalls(); return err == nil }) {
		s.Error(err)
	}
	back := stage.Await(func() bool {
		s.atEnd, s.heap[1] = s.usage(), s.metric("go_memstats_heap_alloc_bytes")
		return s.atEnd.goroutines < s.before.goroutines+ridersThere && s.atEnd.descriptors < s.before.descriptors+ridersThere && s.heap[1] < s.heap[0]+8<<20
	})
	if !back {
		s.Errorf("goroutines, descriptors and memory are not back")
	}
	var faults []string
	for _, f := range soakFaults {
		if n := s.faults[f.name]; n > 0 {
			faults = append(faults, fmt.Sprintf("%d × %s", n, f.name))
		}
	}
	fmt.Printf("soak: %v with seed %d: %s\n", length, seed, strings.Join(faults, ", "))
	fmt.Printf("soak: %d connections of %d browsers; %d broadcasts, heard %d times, missed %d times in %d gaps that were declared; %d actions\n",
		lives, len(s.all), len(s.reached), heard, missed, len(s.gaps), acted)
	fmt.Printf("soak: goroutines %d, at the end %d; descriptors %d, at the end %d; heap %.1f MB, at the end %.1f MB; ends lost %.0f\n",
		s.before.goroutines, s.atEnd.goroutines, s.before.descriptors, s.atEnd.descriptors, s.heap[0]/1e6, s.heap[1]/1e6, s.metric("catenary_close_calls_lost_total"))
}

// accountForCalls: nothing runs twice. What a killed Puma had in hand may not have run; then its browser was told to come back, or
// its end is counted as lost.
func (s *soak) accountForCalls() error {
	events, missing := s.events(), 0
	for _, r := range s.all {
		for i, l := range r.lives {
			if err := l.misrun(runs(events[l.user]), i == len(r.lives)-1 && l.told == ""); err != nil {
				return err
			}
			for _, event := range []string{"connect", "subscribed", "unsubscribed", "disconnect"} {
				switch n := count(events[l.user], event); {
				case n > 1:
					return fmt.Errorf("of %s %q has run %d times", l.user, event, n)
				case n == 0 && l.from > 0:
					missing++
				}
			}
		}
	}
	if lost := int(s.metric("catenary_close_calls_lost_total")); missing > 2*lost {
		return fmt.Errorf("%d callbacks have not run, and %d ends are counted as lost", missing, lost)
	}
	return nil
}
