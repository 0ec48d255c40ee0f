package broadcast

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

var _ source = (*Rails)(nil)

// adapter is an app's pub/sub adapter and the Rails processes that use it.
type adapter struct {
	t        *testing.T
	listener rpc.Listener

	mu        sync.Mutex
	processes map[*rpc.Process]*railsProcess
}

// railsProcess sends over its link with small delays, but in order.
type railsProcess struct {
	*rpc.Process
	streams map[string]bool
	sent    chan func(rpc.Listener)
	started chan struct{}
	moved   chan struct{}
	once    sync.Once
}

func newAdapter(t *testing.T) *adapter {
	return &adapter{t: t, processes: map[*rpc.Process]*railsProcess{}}
}

func (a *adapter) SetListener(l rpc.Listener) { a.listener = l }

// start adds a process.
func (a *adapter) start(id string, local bool) *railsProcess {
	p := &railsProcess{
		Process: &rpc.Process{ID: id, Local: local}, streams: map[string]bool{},
		sent: make(chan func(rpc.Listener), 100_000), started: make(chan struct{}), moved: make(chan struct{}),
	}
	a.mu.Lock()
	a.processes[p.Process] = p
	a.mu.Unlock()
	a.listener.ProcessReady(p.Process)
	var sending sync.WaitGroup
	sending.Go(func() {
		for send := range p.sent {
			if rand.N(50) == 0 {
				time.Sleep(rand.N(time.Millisecond))
			}
			send(a.listener)
		}
	})
	a.t.Cleanup(func() {
		a.kill(p)
		sending.Wait()
	})
	return p
}

// stop announces that a process stops, and waits until its streams have moved.
func (a *adapter) stop(p *railsProcess) {
	p.sent <- func(l rpc.Listener) { l.ProcessStopping(p.Process) }
	within(a.t, "Moved", p.moved)
}

// kill ends a process. What it has sent still arrives.
func (a *adapter) kill(p *railsProcess) {
	a.mu.Lock()
	_, running := a.processes[p.Process]
	delete(a.processes, p.Process)
	a.mu.Unlock()
	if running {
		p.sent <- func(l rpc.Listener) { l.ProcessGone(p.Process) }
		close(p.sent)
	}
}

// with calls do with mu held, if the process is running.
func (a *adapter) with(p *rpc.Process, do func(*railsProcess)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if process := a.processes[p]; process != nil {
		do(process)
	}
}

func (a *adapter) Listen(p *rpc.Process, streams ...string) {
	a.with(p, func(p *railsProcess) {
		for _, stream := range streams {
			p.streams[stream] = true
			p.sent <- func(l rpc.Listener) { l.Listening(p.Process, stream) }
		}
	})
}

func (a *adapter) Unlisten(p *rpc.Process, streams ...string) {
	a.with(p, func(p *railsProcess) {
		for _, stream := range streams {
			delete(p.streams, stream)
		}
	})
}

func (a *adapter) Publish(p *rpc.Process, stream string, payload []byte) error {
	err := errors.New("gone")
	a.with(p, func(p *railsProcess) {
		err = nil
		for _, other := range a.processes {
			if other.streams[stream] && (!p.Local || p == other) {
				other.sent <- func(l rpc.Listener) { l.Received(other.Process, stream, payload) }
			}
		}
	})
	return err
}

func (a *adapter) Start(p *rpc.Process) {
	a.with(p, func(p *railsProcess) { close(p.started) })
}

func (a *adapter) Moved(p *rpc.Process) {
	a.with(p, func(p *railsProcess) { p.once.Do(func() { close(p.moved) }) })
}

func newRails(a *adapter, gaps *int) *Rails {
	return NewRails(a, RailsOptions{Restored: func(time.Duration) { *gaps++ }}, quiet())
}

func TestRails_SpreadsStreamsOverProcesses(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	var all []*railsProcess
	for i := range 3 {
		all = append(all, a.start(fmt.Sprint("p", i), false))
	}
	h := receive(t, s)
	for i := range 90 {
		h.subscribe(fmt.Sprint("s", i))
	}
	total := 0
	for _, p := range all {
		a.with(p.Process, func(p *railsProcess) {
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

func TestRails_EveryProcessListensWhereBroadcastsAreLocal(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	first := a.start("first", true)
	h := receive(t, s)
	h.subscribe("s")
	second := a.start("second", true)
	h.subscribe("s") // waits for both
	for i, p := range []*railsProcess{first, second} {
		a.Publish(p.Process, "s", []byte(fmt.Sprint(i)))
		h.expect("s", fmt.Sprint(i))
	}
	a.stop(first)
	a.Publish(first.Process, "s", []byte("last"))
	h.expect("s", "last")
	a.kill(first)
	a.Publish(second.Process, "s", []byte("next"))
	h.expect("s", "next")
	if gaps != 1 { // what the second broadcast before it had a link
		t.Errorf("%d gaps", gaps)
	}
}

// TestRails_AStoppingProcessLosesNoBroadcast replaces processes one by one under constant
// broadcasts.
func TestRails_AStoppingProcessLosesNoBroadcast(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	processes := []*railsProcess{a.start("p0", false), a.start("p1", false), a.start("p2", false)}
	h := receive(t, s)
	h.subscribe("a", "b", "c", "d")
	publisher := a.start("publisher", false) // never stops
	const count = 20_000
	published := make(chan struct{})
	go func() {
		defer close(published)
		for n := range count {
			a.Publish(publisher.Process, []string{"a", "b", "c", "d"}[n%4], fmt.Append(nil, n))
			if n%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for n := range 12 {
		p := processes[0]
		a.stop(p)
		a.kill(p)
		processes = append(processes[1:], a.start(fmt.Sprint("q", n), false))
	}
	<-published
	next := map[string]int{"a": 0, "b": 1, "c": 2, "d": 3}
	for range count {
		select {
		case got := <-h.received:
			if got.payload != fmt.Sprint(next[got.stream]) {
				t.Fatalf("received %s on %s, want %d", got.payload, got.stream, next[got.stream])
			}
			next[got.stream] += 4
		case <-time.After(waitTime):
			t.Fatalf("waiting for %v; ready: %v", next, s.Ready())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if gaps != 0 {
		t.Errorf("%d gaps", gaps)
	}
}

// noLinks has no processes: the test makes the calls that they would cause.
type noLinks struct {
	published string
	started   []*rpc.Process
	moved     []*rpc.Process
}

func (d *noLinks) SetListener(rpc.Listener)         {}
func (d *noLinks) Listen(*rpc.Process, ...string)   {}
func (d *noLinks) Unlisten(*rpc.Process, ...string) {}
func (d *noLinks) Start(p *rpc.Process)             { d.started = append(d.started, p) }
func (d *noLinks) Moved(p *rpc.Process)             { d.moved = append(d.moved, p) }
func (d *noLinks) Publish(_ *rpc.Process, stream string, _ []byte) error {
	d.published = stream
	return nil
}

// TestRails_AcknowledgesAStreamAfterItsMove, if the stopping process has not answered.
func TestRails_AcknowledgesAStreamAfterItsMove(t *testing.T) {
	d, gaps := &noLinks{}, 0
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

// Before that, the broadcasts of its calls would be missed.
func TestRails_ANewProcessRunsCallsOnceItListens(t *testing.T) {
	for _, local := range []bool{true, false} {
		d, gaps := &noLinks{}, 0
		s := NewRails(d, RailsOptions{Restored: func(time.Duration) { gaps++ }}, quiet())
		old, next := &rpc.Process{ID: "old", Local: local}, &rpc.Process{ID: "new", Local: local}
		s.ProcessReady(old)
		if !slices.Equal(d.started, []*rpc.Process{old}) {
			t.Fatalf("without streams, started %v", d.started)
		}
		for _, stream := range []string{"a", "b", "c"} {
			s.Subscribe(stream, func() {})
			s.Listening(old, stream)
		}
		s.ProcessGone(old)
		s.ProcessReady(next)
		s.Unsubscribe("c")
		s.Listening(next, "a")
		s.ProcessReady(next) // it was about to stop, and stays
		s.Listening(next, "b")
		if len(d.started) != 1 {
			t.Error("it was started before it had answered")
		}
		s.Listening(next, "c")
		if len(d.started) != 2 || gaps != 1 {
			t.Errorf("started %v, %d gaps", d.started, gaps)
		}
	}
}

func TestRails_ProcessesThatAllStopWaitForNone(t *testing.T) {
	d := &noLinks{}
	s := NewRails(d, RailsOptions{}, quiet())
	one, two := &rpc.Process{ID: "one", Count: 2}, &rpc.Process{ID: "two", Count: 2}
	s.ProcessReady(one)
	s.Subscribe("s", func() {})
	s.Listening(one, "s")
	s.ProcessReady(two)
	s.ProcessStopping(one)
	if len(s.moves) != 1 || d.moved != nil {
		t.Fatalf("%d moves, moved %v", len(s.moves), d.moved)
	}
	s.ProcessStopping(two)
	if len(s.moves) != 0 || len(d.moved) != 2 {
		t.Errorf("%d moves, moved %v", len(s.moves), d.moved)
	}
}

// TestRails_ANewProcessReplacesTheOnlyOneWhileItStops, as when Puma restarts its workers one by
// one.
func TestRails_ANewProcessReplacesTheOnlyOneWhileItStops(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	old := a.start("old", false)
	old.Count = 2
	h := receive(t, s)
	h.subscribe("s")
	next := make(chan *railsProcess)
	time.AfterFunc(10*time.Millisecond, func() { next <- a.start("new", false) })
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		a.stop(old)
		a.kill(old)
	}()
	for n := 0; a.Publish(old.Process, "s", fmt.Append(nil, n)) == nil; n++ { // until it has ended
		h.expect("s", fmt.Sprint(n))
		time.Sleep(time.Millisecond)
	}
	p := <-next
	within(t, "the old process' stop", stopped)
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

func TestRails_AKilledProcessCausesAGap(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	only := a.start("only", false)
	h := receive(t, s)
	h.subscribe("s")
	h.expectReady()
	a.kill(only)
	eventually(t, "the source is not ready", func() bool { return s.Ready() != nil })
	acknowledged := h.request("new")[0]
	a.start("next", false)
	within(t, "the acknowledgement", acknowledged)
	eventually(t, "the source is ready again", func() bool { return s.Ready() == nil })
	s.Publish(t.Context(), "s", []byte("again"))
	h.expect("s", "again")
	if gaps != 1 {
		t.Errorf("%d gaps", gaps)
	}
}

func TestRails_DeliversAStreamLeftAndJoinedQuickly(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	a.start("p", false)
	h := receive(t, s)
	for i := range 300 {
		s.Subscribe("flapping", func() {})
		s.Unsubscribe("flapping")
		h.subscribe("flapping")
		s.Publish(t.Context(), "flapping", []byte(fmt.Sprint(i)))
		h.expect("flapping", fmt.Sprint(i))
		s.Unsubscribe("flapping")
	}
	eventually(t, "no stream is left", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.streams) == 0
	})
}

func TestRails_IsReadyOnlyWithAProcess(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, func(string, []byte) {}) }()
	if s.Ready() == nil || s.Publish(ctx, "s", nil) == nil {
		t.Error("ready without a process")
	}
	a.start("p", false)
	eventually(t, "the source is ready", func() bool { return s.Ready() == nil })
	stop()
	if err := <-ended; err != nil || s.Ready() == nil {
		t.Errorf("Run ended with %v, ready: %v", err, s.Ready())
	}
}

func TestRails_BoundsWaitingBroadcasts(t *testing.T) {
	a, gaps := newAdapter(t), 0
	s := newRails(a, &gaps)
	p := a.start("p", false)
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
	h := receive(t, s)
	for range 32 {
		h.expect("s", string(large))
	}
	eventually(t, "the gap is over", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return gaps == 1 })
}
