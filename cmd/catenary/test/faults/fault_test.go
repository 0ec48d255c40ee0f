package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A fault is one row of the matrix: something that happens to a part while browsers are connected.
type fault struct {
	name string
	long bool // played by `make faults` only

	setUp  func(*rig) // starts what this fault needs
	inject func(*rig)
	during func(*rig) // waits for what must happen during the fault
	repair func(*rig)

	unready   string   // what /ready must contain during the fault; "": it stays ready
	brief     bool     // the fault may be over before /ready is asked
	gap       bool     // broadcasts may be missed; catenary must count and log that once
	reconnect affected // which browsers may have to reconnect
	seconds   float64  // duration of actions during the fault
}

// affected is the set of browsers that a fault may disconnect. They reconnect by themselves.
type affected int

const (
	nobody      affected = iota
	behindProxy          // those behind toBrowser
	everyone             // all, because Rails may have run a command of theirs
	some                 // some of all
)

// play runs the fault and returns the failure of each column.
func (f *fault) play(t *testing.T, s *rig) (failures [len(columns)]error) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if f.setUp != nil {
		f.setUp(s)
	}
	s.start()
	s.before = s.currentUsage()
	s.ready = s.watchReady(ctx)
	go s.publish(ctx)

	s.proxied = s.join(proxiedBrowsers, s.toBrowser.Address)
	s.recorders = append(s.proxied, s.join(directBrowsers, s.catenary.Address)...)
	s.waitFor("browsers are subscribed before the fault", func() bool { return every(s.recorders, nowSubscribed) })
	act(s.recorders, 3, 0)
	stage.Await(func() bool { return every(s.recorders, allAnswered) })
	s.waitFor("Rails has handed over all state", func() bool { return s.metric("catenary_connections_stale") == 0 })

	s.lastBefore = s.settle(s.recorders...)
	f.inject(s)
	act(s.recorders, 2, f.seconds)
	s.later = s.join(1, s.catenary.Address)
	if f.reconnect < everyone {
		s.waitForPings()
	}
	if f.unready != "" {
		stage.Await(func() bool { return strings.Contains(strings.Join(s.ready.unready(), "\n"), f.unready) })
	}
	if f.during != nil {
		f.during(s)
	}
	if f.repair != nil {
		f.repair(s)
	}
	stage.Await(func() bool { return s.catenary.Ready() == nil })
	s.firstAfter = int(s.published.Load()) + 1

	s.recorders = slices.DeleteFunc(append(s.recorders, s.later...), (*recorder).isLeaving)
	stage.Await(func() bool { return every(s.recorders, nowSubscribed) })
	act(s.recorders, 2, 0)
	stage.Await(func() bool { return every(s.recorders, allAnswered) })
	s.settled = s.settle(s.recorders...)
	for i, column := range columns[:whileConnected] {
		failures[i] = column.check(f, s)
	}
	cancel()
	s.recorders = s.all
	for _, r := range s.recorders {
		r.leave()
	}
	for _, r := range s.recorders {
		<-r.left
	}
	for i, column := range columns[whileConnected:] {
		failures[whileConnected+i] = column.check(f, s)
	}
	return failures
}

// waitForPings waits until each browser that is not behind toBrowser has received a ping.
func (s *rig) waitForPings() {
	there := s.recorders[proxiedBrowsers:]
	pings := map[*recorder]int{}
	for _, r := range there {
		r.check(func(l *session) bool { pings[r] = l.pings; return true })
	}
	stage.Await(func() bool {
		return !slices.ContainsFunc(there, func(r *recorder) bool {
			return !r.check(func(l *session) bool { return l.pings != pings[r] })
		})
	})
}

// A column is a property that every fault is checked for. expected describes it for one fault.
type column struct {
	name     string
	expected func(*fault) string
	check    func(*fault, *rig) error
}

// whileConnected is the number of columns that are checked while the browsers are connected.
const whileConnected = 5

var columns = [...]column{
	{"connections", (*fault).expectedConnections, (*fault).connections},
	{"broadcasts", (*fault).expectedBroadcasts, (*fault).broadcasts},
	{"in order", func(*fault) string { return "yes" }, (*fault).order},
	{"`/ready`", (*fault).expectedReadiness, (*fault).readiness},
	{"gap", (*fault).expectedGap, (*fault).gapReported},
	{"actions", func(*fault) string { return "once" }, (*fault).actions},
	{"callbacks", func(*fault) string { return "once" }, (*fault).callbacks},
	{"memory", func(*fault) string { return "back" }, (*fault).leftovers},
}

func (f *fault) expectedConnections() string {
	return [...]string{"stay", "some reconnect", "reconnect", "some reconnect"}[f.reconnect]
}

func (f *fault) connections(s *rig) error {
	for i, r := range s.recorders {
		r.mu.Lock()
		sessions, told, subscribed := len(r.sessions), "nothing", false
		if sessions > 0 {
			told, subscribed = r.sessions[0].reason, r.sessions[sessions-1].from > 0 && !r.sessions[sessions-1].ended
		}
		r.mu.Unlock()
		may := f.reconnect >= everyone || f.reconnect == behindProxy && i < proxiedBrowsers
		if sessions > 1 && !may {
			return fmt.Errorf("%s was disconnected with reason %q", r.name, told)
		}
		if !subscribed {
			return fmt.Errorf("%s is not subscribed", r.name)
		}
	}
	if !stage.Await(func() bool { return every(s.recorders[proxiedBrowsers:], pinged) }) {
		return fmt.Errorf("no pings came")
	}
	return nil
}

func pinged(l *session) bool { return l.pings > 0 }

func (f *fault) expectedBroadcasts() string {
	if f.gap {
		return "all but in the gap"
	}
	return "all"
}

func (f *fault) broadcasts(s *rig) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.recorders {
		r.mu.Lock()
		for _, l := range r.sessions {
			missed := l.missed(s.settled, func(n int) bool { return s.accepted[n] && !(f.gap && n > s.lastBefore && n < s.firstAfter) })
			if len(missed) > 0 {
				r.mu.Unlock()
				return fmt.Errorf("%s missed %v; the fault began after %d and was over before %d", l.user, missed, s.lastBefore, s.firstAfter)
			}
		}
		r.mu.Unlock()
	}
	return nil
}

func (f *fault) order(s *rig) error {
	for _, r := range s.recorders {
		r.mu.Lock()
		for _, l := range r.sessions {
			if err := l.outOfOrder(); err != nil {
				r.mu.Unlock()
				return err
			}
		}
		r.mu.Unlock()
	}
	return nil
}

func (f *fault) expectedReadiness() string {
	switch {
	case f.brief:
		return "ready again at once"
	case f.unready == "":
		return "stays ready"
	}
	return "not ready, and why"
}

func (f *fault) readiness(s *rig) error {
	answered := strings.Join(s.ready.unready(), "\n")
	if f.unready == "" && answered != "" && !f.brief || !strings.Contains(answered, f.unready) {
		return fmt.Errorf("/ready answered %q, want %q", answered, f.unready)
	}
	return s.catenary.Ready()
}

func (f *fault) expectedGap() string {
	if f.gap {
		return "counted and logged once"
	}
	return "none"
}

func (f *fault) gapReported(s *rig) error {
	want := 0
	if f.gap {
		want = 1
	}
	counted, lost, found := int(s.metric("catenary_broadcast_gaps_total")), s.logCount("broadcasts do not arrive\""), s.logCount("broadcasts arrive again\"")
	if counted != want || lost != want || found != want {
		return fmt.Errorf("%d gaps counted, %d beginnings and %d ends logged", counted, lost, found)
	}
	return nil
}

func (f *fault) actions(s *rig) (err error) {
	stage.Await(func() bool { err = f.checkActions(s); return err == nil })
	return err
}

func (f *fault) checkActions(s *rig) error {
	events := s.events()
	for _, r := range s.recorders {
		r.mu.Lock()
		for i, l := range r.sessions {
			all := i == len(r.sessions)-1 // on the last connection nothing may be lost
			if err := l.compareRuns(runs(events[l.user]), all); err != nil {
				r.mu.Unlock()
				return err
			}
		}
		r.mu.Unlock()
	}
	return nil
}

func (f *fault) callbacks(s *rig) (err error) {
	stage.Await(func() bool { err = f.checkCallbacks(s); return err == nil })
	return err
}

func (f *fault) checkCallbacks(s *rig) error {
	events := s.events()
	for _, r := range s.recorders {
		for _, l := range r.sessions {
			for _, event := range []string{"connect", "subscribed", "unsubscribed", "disconnect"} {
				want := 1
				if strings.Contains(event, "subscribed") && l.from == 0 {
					want = count(events[l.user], "subscribed") // it closed before the confirmation
				}
				if got := count(events[l.user], event); got != want {
					return fmt.Errorf("%s: %q ran %d times", l.user, event, got)
				}
			}
		}
	}
	return nil
}

// leftovers allows for idle connections to Rails and Redis.
func (f *fault) leftovers(s *rig) error {
	back := stage.Await(func() bool {
		s.atEnd = s.currentUsage()
		return s.atEnd.goroutines < s.before.goroutines+directBrowsers && s.atEnd.descriptors < s.before.descriptors+directBrowsers
	})
	if !back {
		return fmt.Errorf("%+v before, %+v at the end", s.before, s.atEnd)
	}
	return nil
}
