package faults

import (
	"cmp"
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
	"github.com/redis/go-redis/v9"
)

// A soak is a rig in which browsers connect, act and leave while one fault follows another. At the
// end the records must be right.
type soak struct {
	*rig
	random    *rand.Rand // chooses the faults
	followers []*follower
	gaps      [][2]int   // catenary has reported a gap between these numbers, exclusive
	heap      [2]float64 // bytes, before and after
	faults    map[string]int
}

// maxBrowsers is the number of browsers whose records this machine keeps up with.
const maxBrowsers = 50

// soakFaults are injected again and again. held is the maximum duration. Broadcasts may be missed
// in faults of Redis.
var soakFaults = []struct {
	name           string
	held           time.Duration
	redis          bool
	inject, repair func(*soak)
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

// TestSoak runs for SOAK (10 minutes in `make soak`), with faults chosen by SEED.
func TestSoak(t *testing.T) {
	t.Parallel()
	silenceRedis()
	length, err := time.ParseDuration(cmp.Or(os.Getenv("SOAK"), "20s"))
	if err != nil {
		t.Fatalf("SOAK: %v", err)
	}
	seed, err := strconv.ParseUint(cmp.Or(os.Getenv("SEED"), "1"), 10, 64)
	if err != nil {
		t.Fatalf("SEED: %v", err)
	}
	s := &soak{rig: &rig{T: t, stream: "soak", accepted: map[int]bool{}}, random: rand.New(rand.NewPCG(seed, 0)), faults: map[string]int{}}
	s.startOwnApp("WEB_CONCURRENCY=2", "LAB_PRELOAD=false", `LAB_HISTORY={"soak":{"limit":5000}}`)
	s.numbering = s.historyScript()
	publisher := publishing(s.redis.Address)
	publisher.DB = 1 // the application's
	s.publisher = redis.NewClient(publisher)
	s.start()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	s.before, s.heap[0] = s.currentUsage(), s.metric("go_memstats_heap_alloc_bytes")
	publishing, silence := context.WithCancel(t.Context())
	defer silence()
	go s.publish(publishing)
	s.proxied = s.join(5, s.toBrowser.Address)
	s.recorders = s.join(directBrowsers, s.catenary.Address)
	s.followers = append(s.follow(2, s.toBrowser.Address), s.follow(1, s.catenary.Address)...)
	s.waitFor("browsers are subscribed", func() bool { return every(s.all, nowSubscribed) && s.followed(1) })

	done := make(chan struct{})
	go func() {
		defer close(done)
		s.churn(ctx)
	}()
	for end := time.Now().Add(length); time.Now().Before(end); {
		s.injectFault()
	}
	stop()
	<-done
	there := append(s.proxied, s.recorders...)
	s.waitFor("everybody is subscribed at the end", func() bool { return every(there, nowSubscribed) })
	if !stage.Await(func() bool { return every(there, allAnswered) }) {
		for _, r := range there {
			r.check(func(l *session) bool {
				if !allAnswered(l) {
					s.Errorf("%s through %s is not answered: sent %v, answered %v, ran %v, disconnect %q", l.user, r.via, l.sent, l.answers, runs(s.events()[l.user]), l.reason)
				}
				return true
			})
		}
		s.Fatalf("the end of catenary's output:\n%s", s.catenary.Process.Output.Tail())
	}
	last := s.settle(there...)
	s.waitFor("everybody with a history is up to date", func() bool { return s.followed(last) })
	silence()
	s.verify(length, seed)
}

// followed reports whether a number or a later one has arrived at all followers.
func (s *soak) followed(n int) bool {
	return !slices.ContainsFunc(s.followers, func(f *follower) bool { return !f.has(n) })
}

// injectFault injects one fault and waits until catenary is ready again.
func (s *soak) injectFault() {
	f := soakFaults[s.random.IntN(len(soakFaults))]
	held := time.Duration(s.random.Int64N(int64(f.held) + 1))
	s.faults[f.name]++
	gaps, lastBefore := s.metric("catenary_broadcast_gaps_total"), s.settle(s.proxied...)
	f.inject(s)
	time.Sleep(held)
	f.repair(s)
	s.waitFor("ready after "+f.name, func() bool { return s.catenary.Ready() == nil })
	time.Sleep(2 * time.Second)
	gap := func() bool { return s.metric("catenary_broadcast_gaps_total") > gaps }
	if f.redis { // a loss is noticed late, and delayed broadcasts arrive late
		last := int(s.published.Load())
		s.waitFor("broadcasts arrive after "+f.name, func() bool { return gap() || s.hasArrived(last) })
	}
	s.waitFor("ready after "+f.name, func() bool { return s.catenary.Ready() == nil })
	if f.redis && gap() {
		s.gaps = append(s.gaps, [2]int{lastBefore, int(s.published.Load()) + 1})
	}
}

// hasArrived reports whether a number or a later one has arrived.
func (s *soak) hasArrived(number int) bool {
	return slices.ContainsFunc(s.proxied, func(r *recorder) bool {
		return r.check(func(l *session) bool { return len(l.received) > 0 && l.received[len(l.received)-1] >= number })
	})
}

// churn makes browsers connect, act and leave.
func (s *soak) churn(ctx context.Context) {
	for ctx.Err() == nil {
		switch rand.IntN(10) {
		case 0:
			if len(s.recorders) < maxBrowsers {
				s.recorders = append(s.recorders, s.join(1, s.catenary.Address)...)
			}
		case 1:
			n := rand.IntN(len(s.recorders))
			if r := s.recorders[n]; len(s.recorders) > directBrowsers && r.check(nowSubscribed) && r.check(allAnswered) {
				r.leave()
				s.recorders = append(s.recorders[:n:n], s.recorders[n+1:]...)
			}
		default:
			s.recorders[rand.IntN(len(s.recorders))].act(float64(rand.IntN(3)) / 20)
			s.proxied[rand.IntN(len(s.proxied))].act(0)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// inGap reports whether a number is in a gap that catenary has reported.
func (s *soak) inGap(n int) bool {
	for _, gap := range s.gaps {
		if n > gap[0] && n < gap[1] {
			return true
		}
	}
	return false
}

func (s *soak) verify(length time.Duration, seed uint64) {
	for _, r := range s.all {
		r.leave()
	}
	for _, r := range s.all {
		<-r.left
	}
	opened, histories, rejections, lost := 0, 0, 0, 0
	for _, f := range s.followers {
		f.leave()
		trouble, missed := f.verify(f.received[len(f.received)-1], func(n int) bool { return s.accepted[n] })
		for _, one := range trouble[:min(len(trouble), 10)] {
			s.Errorf("%s through %s: %s", f.name, f.via, one)
		}
		opened += f.opened
		histories += f.histories
		rejections += f.rejections
		lost += missed
	}
	sessions, received, missed, acted := 0, 0, 0, 0
	for _, r := range s.all {
		for _, l := range r.sessions {
			sessions++
			received += len(l.received)
			acted += len(l.sent)
			if err := l.outOfOrder(); err != nil {
				s.Error(err)
			}
			missed += len(l.missed(0, func(n int) bool { return s.accepted[n] && s.inGap(n) }))
			if unexplained := l.missed(0, func(n int) bool { return s.accepted[n] && !s.inGap(n) }); len(unexplained) > 0 {
				s.Errorf("%s missed %d from %d to %d, which are in none of the gaps %v", l.user, len(unexplained), unexplained[0], unexplained[len(unexplained)-1], s.gaps)
			}
		}
	}
	var err error
	if !stage.Await(func() bool { err = s.verifyCalls(); return err == nil }) {
		s.Error(err)
	}
	back := stage.Await(func() bool {
		s.atEnd, s.heap[1] = s.currentUsage(), s.metric("go_memstats_heap_alloc_bytes")
		return s.atEnd.goroutines < s.before.goroutines+directBrowsers && s.atEnd.descriptors < s.before.descriptors+directBrowsers && s.heap[1] < s.heap[0]+8<<20
	})
	if !back {
		s.Errorf("goroutines, descriptors or memory stay high")
	}
	var faults []string
	for _, f := range soakFaults {
		if n := s.faults[f.name]; n > 0 {
			faults = append(faults, fmt.Sprintf("%d × %s", n, f.name))
		}
	}
	fmt.Printf("soak: %v with seed %d: %s\n", length, seed, strings.Join(faults, ", "))
	fmt.Printf("soak: %d connections of %d browsers; %d broadcasts, received %d times, missed %d times in %d reported gaps; %d actions\n",
		sessions, len(s.all), len(s.accepted), received, missed, len(s.gaps), acted)
	fmt.Printf("soak: %d connections of %d browsers that ask for their history: %d sent, %d rejected; %d broadcasts missed, all after a rejection\n",
		opened, len(s.followers), histories, rejections, lost)
	fmt.Printf("soak: goroutines %d, at the end %d; descriptors %d, at the end %d; heap %.1f MB, at the end %.1f MB; disconnects lost %.0f\n",
		s.before.goroutines, s.atEnd.goroutines, s.before.descriptors, s.atEnd.descriptors, s.heap[0]/1e6, s.heap[1]/1e6, s.metric("catenary_disconnects_lost_total"))
}

// verifyCalls checks that nothing ran twice. What a killed Puma was running may be missing; then
// the browser had to reconnect, or its disconnect is counted as lost.
func (s *soak) verifyCalls() error {
	events, missing := s.events(), 0
	for _, r := range s.all {
		for i, l := range r.sessions {
			if err := l.compareRuns(runs(events[l.user]), i == len(r.sessions)-1 && l.reason == ""); err != nil {
				return err
			}
			for _, event := range []string{"connect", "subscribed", "unsubscribed", "disconnect"} {
				switch n := count(events[l.user], event); {
				case n > 1:
					return fmt.Errorf("%s: %q ran %d times", l.user, event, n)
				case n == 0 && l.from > 0:
					missing++
				}
			}
		}
	}
	if lost := int(s.metric("catenary_disconnects_lost_total")); missing > 2*lost {
		return fmt.Errorf("%d callbacks did not run, and %d disconnects are counted as lost", missing, lost)
	}
	return nil
}
