package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A fault is one row of the matrix: what is done to a part while browsers are connected.
type fault struct {
	name string
	long bool // played by `make faults` only

	lay    func(*rig) // builds what the stage has beside the usual
	strike func(*rig)
	during func(*rig) // waits for what must come about meanwhile
	mend   func(*rig)

	unready string    // what /ready says meanwhile; "": it stays ready
	brief   bool      // it may be over before /ready is asked
	gap     bool      // broadcasts may be missed meanwhile, which is counted and logged once
	ends    returning // whose connections may end
	seconds float64   // that an action takes
}

// returning says whose connections a fault may end. They come back by themselves.
type returning int

const (
	nobody   returning = iota
	theirs             // of those behind the faulty network
	everyone           // with a command at Rails, which may have run
	some               // of these
)

// play has it happen, and says of each column why it does not hold.
func (f *fault) play(t *testing.T, s *rig) (fell [len(columns)]error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if f.lay != nil {
		f.lay(s)
	}
	s.start()
	s.before = s.usage()
	s.ready = s.watchReady(ctx)
	go s.publish(ctx)

	s.behind = s.join(ridersBehind, s.toBrowser.Address)
	s.riders = append(s.behind, s.join(ridersThere, s.catenary.Address)...)
	s.awaits("browsers are subscribed before the fault", func() bool { return every(s.riders, nowSubscribed) })
	act(s.riders, 3, 0)
	stage.Await(func() bool { return every(s.riders, allAnswered) })
	s.settle(s.riders...)
	s.awaits("Rails has handed over all state", func() bool { return s.metric("catenary_connections_stale") == 0 })

	s.struck = int(s.published.Load())
	f.strike(s)
	act(s.riders, 2, f.seconds)
	s.later = s.join(1, s.catenary.Address)
	if f.ends < everyone {
		s.hearPing()
	}
	if f.unready != "" {
		stage.Await(func() bool { return strings.Contains(strings.Join(s.ready.unready(), "\n"), f.unready) })
	}
	if f.during != nil {
		f.during(s)
	}
	if f.mend != nil {
		f.mend(s)
	}
	stage.Await(func() bool { return s.catenary.Ready() == nil })
	s.mended = int(s.published.Load()) + 1

	s.riders = slices.DeleteFunc(append(s.riders, s.later...), (*rider).isLeaving)
	stage.Await(func() bool { return every(s.riders, nowSubscribed) })
	act(s.riders, 2, 0)
	stage.Await(func() bool { return every(s.riders, allAnswered) })
	s.settle(s.riders...)
	for i, column := range columns[:early] {
		fell[i] = column.check(f, s)
	}
	cancel()
	s.riders = s.all
	for _, r := range s.riders {
		r.leave()
	}
	for _, r := range s.riders {
		<-r.left
	}
	for i, column := range columns[early:] {
		fell[early+i] = column.check(f, s)
	}
	return fell
}

// hearPing waits until those who are not behind the faulty network hear a ping.
func (s *rig) hearPing() {
	there := s.riders[ridersBehind:]
	pings := map[*rider]int{}
	for _, r := range there {
		r.is(func(l *life) bool { pings[r] = l.pings; return true })
	}
	stage.Await(func() bool {
		return !slices.ContainsFunc(there, func(r *rider) bool {
			return !r.is(func(l *life) bool { return l.pings != pings[r] })
		})
	})
}

// A column is what must hold in every row; must is what exactly that is for one.
type column struct {
	name  string
	must  func(*fault) string
	check func(*fault, *rig) error
}

// early is how many columns are looked at while the browsers are there.
const early = 5

var columns = [...]column{
	{"connections", (*fault).mustConnections, (*fault).connections},
	{"broadcasts", (*fault).mustBroadcasts, (*fault).broadcasts},
	{"in order", func(*fault) string { return "yes" }, (*fault).order},
	{"`/ready`", (*fault).mustReadiness, (*fault).readiness},
	{"gap", (*fault).mustGap, (*fault).gapDeclared},
	{"actions", func(*fault) string { return "once" }, (*fault).actions},
	{"callbacks", func(*fault) string { return "once" }, (*fault).callbacks},
	{"memory", func(*fault) string { return "back" }, (*fault).leftovers},
}

func (f *fault) mustConnections() string {
	return [...]string{"stay", "some come back", "come back", "some come back"}[f.ends]
}

func (f *fault) connections(s *rig) error {
	for i, r := range s.riders {
		r.mu.Lock()
		lives, told, subscribed := len(r.lives), "nothing", false
		if lives > 0 {
			told, subscribed = r.lives[0].told, r.lives[lives-1].from > 0 && !r.lives[lives-1].ended
		}
		r.mu.Unlock()
		may := f.ends >= everyone || f.ends == theirs && i < ridersBehind
		if lives > 1 && !may {
			return fmt.Errorf("%s was lost, and told %q", r.name, told)
		}
		if !subscribed {
			return fmt.Errorf("%s is not subscribed", r.name)
		}
	}
	if !every(s.riders[ridersBehind:], pinged) {
		return fmt.Errorf("no pings came")
	}
	return nil
}

func pinged(l *life) bool { return l.pings > 0 || len(l.sent) < 4 } // or it has just come

func (f *fault) mustBroadcasts() string {
	if f.gap {
		return "all but in the gap"
	}
	return "all"
}

func (f *fault) broadcasts(s *rig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := 0
	for n := range s.reached {
		last = max(last, n)
	}
	for _, r := range s.riders {
		r.mu.Lock()
		for _, l := range r.lives {
			missed := l.missed(last-1, func(n int) bool { return s.reached[n] && !(f.gap && n > s.struck && n < s.mended) })
			if len(missed) > 0 {
				r.mu.Unlock()
				return fmt.Errorf("%s has missed %v; the fault struck after %d and was over before %d", l.user, missed, s.struck, s.mended)
			}
		}
		r.mu.Unlock()
	}
	return nil
}

func (f *fault) order(s *rig) error {
	for _, r := range s.riders {
		r.mu.Lock()
		for _, l := range r.lives {
			if err := l.outOfOrder(); err != nil {
				r.mu.Unlock()
				return err
			}
		}
		r.mu.Unlock()
	}
	return nil
}

func (f *fault) mustReadiness() string {
	switch {
	case f.brief:
		return "back at once"
	case f.unready == "":
		return "stays"
	}
	return "no, and why"
}

func (f *fault) readiness(s *rig) error {
	said := strings.Join(s.ready.unready(), "\n")
	if f.unready == "" && said != "" && !f.brief || !strings.Contains(said, f.unready) {
		return fmt.Errorf("/ready has said %q, and should %q", said, f.unready)
	}
	return s.catenary.Ready()
}

func (f *fault) mustGap() string {
	if f.gap {
		return "counted and logged once"
	}
	return "none"
}

func (f *fault) gapDeclared(s *rig) error {
	want := 0
	if f.gap {
		want = 1
	}
	counted, lost, found := int(s.metric("catenary_broadcast_gaps_total")), s.says("broadcasts do not arrive\""), s.says("broadcasts arrive again\"")
	if counted != want || lost != want || found != want {
		return fmt.Errorf("%d gaps are counted, %d beginnings and %d ends logged", counted, lost, found)
	}
	return nil
}

func (f *fault) actions(s *rig) (err error) {
	stage.Await(func() bool { err = f.lookAtActions(s); return err == nil })
	return err
}

func (f *fault) lookAtActions(s *rig) error {
	events := s.events()
	for _, r := range s.riders {
		r.mu.Lock()
		for i, l := range r.lives {
			all := i == len(r.lives)-1 // nothing can be lost of the last
			if err := l.misrun(runs(events[l.user]), all); err != nil {
				r.mu.Unlock()
				return err
			}
		}
		r.mu.Unlock()
	}
	return nil
}

func (f *fault) callbacks(s *rig) (err error) {
	stage.Await(func() bool { err = f.lookAtCallbacks(s); return err == nil })
	return err
}

func (f *fault) lookAtCallbacks(s *rig) error {
	events := s.events()
	for _, r := range s.riders {
		for _, l := range r.lives {
			for _, event := range []string{"connect", "subscribed", "unsubscribed", "disconnect"} {
				want := 1
				if strings.Contains(event, "subscribed") && l.from == 0 {
					want = count(events[l.user], "subscribed") // it left before it was confirmed
				}
				if got := count(events[l.user], event); got != want {
					return fmt.Errorf("of %s %q has run %d times", l.user, event, got)
				}
			}
		}
	}
	return nil
}

// leftovers allows for the connections to Rails and Redis, which are kept for a while.
func (f *fault) leftovers(s *rig) error {
	back := stage.Await(func() bool {
		s.atEnd = s.usage()
		return s.atEnd.goroutines < s.before.goroutines+ridersThere && s.atEnd.descriptors < s.before.descriptors+ridersThere
	})
	if !back {
		return fmt.Errorf("%+v before, and %+v at the end", s.before, s.atEnd)
	}
	return nil
}
