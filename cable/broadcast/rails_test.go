package broadcast

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

var _ source = (*Rails)(nil)

// adapter is a pub/sub of the app's and the processes that use it.
type adapter struct {
	t        *testing.T
	listener rpc.Listener

	mu        sync.Mutex
	processes map[*rpc.Process]*railsProcess
}

// railsProcess tells what it hears in its own time, but in order.
type railsProcess struct {
	*rpc.Process
	streams map[string]bool
	said    chan func(rpc.Listener)
	moved   chan struct{}
	once    sync.Once
}

func newAdapter(t *testing.T) *adapter {
	return &adapter{t: t, processes: map[*rpc.Process]*railsProcess{}}
}

func (a *adapter) SetListener(l rpc.Listener) { a.listener = l }

// starts has another process come.
func (a *adapter) starts(id string, local bool) *railsProcess {
	p := &railsProcess{Process: &rpc.Process{ID: id, Local: local}, streams: map[string]bool{}, said: make(chan func(rpc.Listener), 100_000), moved: make(chan struct{})}
	a.mu.Lock()
	a.processes[p.Process] = p
	a.mu.Unlock()
	a.listener.ProcessReady(p.Process)
	var talking sync.WaitGroup
	talking.Go(func() {
		for say := range p.said {
			if rand.N(50) == 0 {
				time.Sleep(rand.N(time.Millisecond))
			}
			say(a.listener)
		}
	})
	a.t.Cleanup(func() {
		a.ends(p)
		talking.Wait()
	})
	return p
}

func (a *adapter) goes(p *railsProcess) {
	p.said <- func(l rpc.Listener) { l.ProcessStopping(p.Process) }
	within(a.t, "the word that others listen", p.moved)
}

// ends does so at once, with what it has not told.
func (a *adapter) ends(p *railsProcess) {
	a.mu.Lock()
	_, there := a.processes[p.Process]
	delete(a.processes, p.Process)
	a.mu.Unlock()
	if there {
		p.said <- func(l rpc.Listener) { l.ProcessGone(p.Process) }
		close(p.said)
	}
}

func (a *adapter) of(p *rpc.Process, do func(*railsProcess)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if process := a.processes[p]; process != nil {
		do(process)
	}
}

func (a *adapter) Listen(p *rpc.Process, streams ...string) {
	a.of(p, func(p *railsProcess) {
		for _, stream := range streams {
			p.streams[stream] = true
			p.said <- func(l rpc.Listener) { l.Listening(p.Process, stream) }
		}
	})
}

func (a *adapter) Unlisten(p *rpc.Process, streams ...string) {
	a.of(p, func(p *railsProcess) {
		for _, stream := range streams {
			delete(p.streams, stream)
		}
	})
}

func (a *adapter) Publish(p *rpc.Process, stream string, payload []byte) error {
	err := errors.New("gone")
	a.of(p, func(p *railsProcess) {
		err = nil
		for _, other := range a.processes {
			if other.streams[stream] && (!p.Local || p == other) {
				other.said <- func(l rpc.Listener) { l.Received(other.Process, stream, payload) }
			}
		}
	})
	return err
}

func (a *adapter) Moved(p *rpc.Process) {
	a.of(p, func(p *railsProcess) { p.once.Do(func() { close(p.moved) }) })
}

func newRails(a *adapter, gaps *int) *Rails {
	return NewRails(a, RailsOptions{Restored: func(time.Duration) { *gaps++ }}, quiet())
}

func TestRails_OneProcessListensToAStreamAndAllHaveTheirShare(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	var all []*railsProcess
	for i := range 3 {
		all = append(all, a.starts(fmt.Sprint("p", i), false))
	}
	h := hear(t, s)
	for i := range 90 {
		h.subscribe(fmt.Sprint("s", i))
	}
	total := 0
	for _, p := range all {
		a.of(p.Process, func(p *railsProcess) {
			if total += len(p.streams); len(p.streams) < 10 {
				t.Errorf("%s has %d streams of 90", p.ID, len(p.streams))
			}
		})
	}
	if total != 90 {
		t.Errorf("%d streams are listened to, of 90", total)
	}
	for i := range 90 {
		s.Publish(t.Context(), fmt.Sprint("s", i), []byte("x"))
		h.expect(fmt.Sprint("s", i), "x")
	}
}

func TestRails_WhereBroadcastsStayInAProcessAllListen(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	first := a.starts("first", true)
	h := hear(t, s)
	h.subscribe("s")
	second := a.starts("second", true)
	h.subscribe("s") // waits for both
	for i, p := range []*railsProcess{first, second} {
		a.Publish(p.Process, "s", []byte(fmt.Sprint(i)))
		h.expect("s", fmt.Sprint(i))
	}
	a.goes(first)
	a.Publish(first.Process, "s", []byte("the last word"))
	h.expect("s", "the last word")
	a.ends(first)
	a.Publish(second.Process, "s", []byte("on"))
	h.expect("s", "on")
	if gaps != 0 {
		t.Errorf("%d gaps", gaps)
	}
}

// TestRails_AProcessThatGoesTakesNothingWithIt: while broadcasts are made all the time, processes come and go in good order.
func TestRails_AProcessThatGoesTakesNothingWithIt(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	processes := []*railsProcess{a.starts("p0", false), a.starts("p1", false), a.starts("p2", false)}
	h := hear(t, s)
	h.subscribe("a", "b", "c", "d")
	constant := a.starts("publisher", false) // whose own share moves never
	const count = 20_000
	published := make(chan struct{})
	go func() {
		defer close(published)
		for n := range count {
			a.Publish(constant.Process, []string{"a", "b", "c", "d"}[n%4], fmt.Append(nil, n))
			if n%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for n := range 12 {
		p := processes[0]
		a.goes(p)
		a.ends(p)
		processes = append(processes[1:], a.starts(fmt.Sprint("q", n), false))
	}
	<-published
	next := map[string]int{"a": 0, "b": 1, "c": 2, "d": 3}
	for range count {
		select {
		case got := <-h.heard:
			if got.payload != fmt.Sprint(next[got.stream]) {
				t.Fatalf("heard %s on %s, want %d", got.payload, got.stream, next[got.stream])
			}
			next[got.stream] += 4
		case <-time.After(waitTime):
			t.Fatalf("waiting for %v; ready: %v", next, s.Ready())
		}
	}
	if s.mu.Lock(); gaps != 0 {
		t.Errorf("%d gaps", gaps)
	}
	s.mu.Unlock()
}

// deaf asks nobody: the test says what processes tell.
type deaf struct{ published string }

func (d *deaf) SetListener(rpc.Listener)         {}
func (d *deaf) Listen(*rpc.Process, ...string)   {}
func (d *deaf) Unlisten(*rpc.Process, ...string) {}
func (d *deaf) Moved(*rpc.Process)               {}
func (d *deaf) Publish(_ *rpc.Process, stream string, _ []byte) error {
	d.published = stream
	return nil
}

// TestRails_WhoSubscribesToAStreamThatMovesIsAnsweredWhenTheMoveIsOver, if the one that goes has not answered.
func TestRails_WhoSubscribesToAStreamThatMovesIsAnsweredWhenTheMoveIsOver(t *testing.T) {
	d, gaps := &deaf{}, 0
	s := NewRails(d, RailsOptions{Restored: func(time.Duration) { gaps++ }}, quiet())
	old, next := &rpc.Process{ID: "old"}, &rpc.Process{ID: "new"}
	s.ProcessReady(old)
	answered := false
	s.Subscribe("s", func() { answered = true })
	s.ProcessReady(next)
	s.ProcessStopping(old)
	marker := s.moves[0].marker
	s.Listening(next, "s")
	s.Listening(old, marker)
	s.Listening(next, marker)
	if d.published != marker || answered {
		t.Fatalf("published %q, answered %t", d.published, answered)
	}
	s.Received(old, marker, nil)
	s.Received(next, marker, nil)
	if !answered || gaps != 0 {
		t.Errorf("answered %t, %d gaps", answered, gaps)
	}
}

// TestRails_ASiblingThatComesWhileTheOnlyProcessGoesListensInItsPlace, as when Puma replaces its workers one by one.
func TestRails_ASiblingThatComesWhileTheOnlyProcessGoesListensInItsPlace(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	old := a.starts("old", false)
	old.Count = 2
	h := hear(t, s)
	h.subscribe("s")
	next := make(chan *railsProcess)
	time.AfterFunc(10*time.Millisecond, func() { next <- a.starts("new", false) })
	goes := make(chan struct{})
	go func() {
		defer close(goes)
		a.goes(old)
		a.ends(old)
	}()
	for n := 0; a.Publish(old.Process, "s", fmt.Append(nil, n)) == nil; n++ { // until it has ended
		h.expect("s", fmt.Sprint(n))
		time.Sleep(time.Millisecond)
	}
	p := <-next
	within(t, "the old one's end", goes)
	for n := range 20 {
		a.Publish(p.Process, "s", fmt.Append(nil, n))
		h.expect("s", fmt.Sprint(n))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if gaps != 0 {
		t.Errorf("%d gaps", gaps)
	}
}

func TestRails_AProcessThatIsKilledIsAGapAndOthersGoOn(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	only := a.starts("only", false)
	h := hear(t, s)
	h.subscribe("s")
	h.expectReady()
	a.ends(only)
	eventually(t, "it is not ready", func() bool { return s.Ready() != nil })
	waits := h.ask("new")[0]
	a.starts("next", false)
	within(t, "the acknowledgement", waits)
	eventually(t, "it is ready again", func() bool { return s.Ready() == nil })
	s.Publish(t.Context(), "s", []byte("again"))
	h.expect("s", "again")
	if gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
}

func TestRails_AStreamLeftAndJoinedQuicklyIsHeard(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	a.starts("p", false)
	h := hear(t, s)
	for i := range 300 {
		s.Subscribe("flapping", func() {})
		s.Unsubscribe("flapping")
		h.subscribe("flapping")
		s.Publish(t.Context(), "flapping", []byte(fmt.Sprint(i)))
		h.expect("flapping", fmt.Sprint(i))
		s.Unsubscribe("flapping")
	}
	eventually(t, "nothing is left", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.streams) == 0
	})
}

func TestRails_SaysWhyItIsNotReady(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(string, []byte) {}) }()
	if s.Ready() == nil || s.Publish(ctx, "s", nil) == nil {
		t.Error("it is ready without a process")
	}
	a.starts("p", false)
	eventually(t, "it is ready", func() bool { return s.Ready() == nil })
	stop()
	if err := <-ended; err != nil || s.Ready() == nil {
		t.Errorf("it ended with %v, ready: %v", err, s.Ready())
	}
}

func TestRails_WhatWaitsIsBounded(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	p := a.starts("p", false)
	s.Subscribe("s", func() {})
	large := make([]byte, 1<<20)
	for range 40 {
		s.Received(p.Process, "s", large)
	}
	s.mu.Lock()
	waiting := s.bytes
	s.mu.Unlock()
	if waiting > maxWaiting {
		t.Errorf("%d bytes wait", waiting)
	}
	h := hear(t, s)
	for range 32 {
		h.expect("s", string(large))
	}
	eventually(t, "the gap is over", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return gaps == 1 })
}
