package broadcast

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// RailsOptions are what a Rails source needs besides the links.
type RailsOptions struct {
	Lost     func(error)         // broadcasts can be missed from now on; may be nil
	Restored func(time.Duration) // and now no more; may be nil
}

// Processes are the links to Rails: *rpc.Client.
type Processes interface {
	HearWith(rpc.Listener)
	Listen(p *rpc.Process, streams ...string)
	Unlisten(p *rpc.Process, streams ...string)
	Publish(p *rpc.Process, stream string, payload []byte) error
	Moved(p *rpc.Process)
}

// Rails hears broadcasts by way of the app's own pub/sub adapter, whichever it
// is: Rails processes listen for it, over their links. Where broadcasts stay in
// the process that makes them (the adapters async, inline and test) every
// process listens to every stream; otherwise one does, and each has its share
// of the streams, since an adapter may poll.
type Rails struct {
	options   RailsOptions
	processes Processes
	log       *slog.Logger
	seed      maphash.Seed
	wake      chan struct{} // holds one token while something waits for Run

	mu       sync.Mutex
	stopped  bool
	present  []*rpc.Process // that stay, in order of their age
	streams  map[string]*railsStream
	moves    []*move
	waiting  []arrival           // for Run
	bytes    int                 // of these
	missed   error               // why broadcasts can be missed; nil if they cannot
	since    time.Time           // that they can
	unheard  map[string]struct{} // streams for which that is so
	overflow bool                // or too much waits
	due      []func()            // acknowledgements, for when mu is free
}

// arrival is a broadcast on its way to Run.
type arrival struct {
	stream  string
	payload []byte
}

// maxWaiting is how much may wait for Run; the rest is missed.
const maxWaiting = 32 << 20

// railsStream is one stream that somebody wants, or on whose end Rails has not
// agreed yet. Rails.mu guards it.
type railsStream struct {
	name    string
	wanted  bool
	ears    []*ear
	waiters []func()
	move    *move // to another process, which is under way; nil mostly
}

// ear is one process that has been asked for a stream.
type ear struct {
	process *rpc.Process
	told    bool // the last word was Listen
	awaited int  // answers
	silent  bool // another process still has the word
}

// NewRails opens nothing: from the Run of the processes on it is told of them.
func NewRails(processes Processes, options RailsOptions, log *slog.Logger) *Rails {
	if options.Lost == nil {
		options.Lost = func(error) {}
	}
	if options.Restored == nil {
		options.Restored = func(time.Duration) {}
	}
	r := &Rails{
		options: options, processes: processes, log: log, seed: maphash.MakeSeed(), wake: make(chan struct{}, 1),
		streams: map[string]*railsStream{}, unheard: map[string]struct{}{},
	}
	processes.HearWith(r)
	return r
}

// Run delivers what is heard until ctx ends, and then returns nil.
func (r *Rails) Run(ctx context.Context, deliver func(stream string, payload []byte)) error {
	for {
		select {
		case <-ctx.Done():
			r.mu.Lock()
			r.stopped = true
			r.mu.Unlock()
			return nil
		case <-r.wake:
		}
		r.mu.Lock()
		some := r.waiting
		r.waiting, r.bytes, r.overflow = nil, 0, false
		r.settle()
		r.mu.Unlock()
		for _, a := range some {
			deliver(a.stream, a.payload)
		}
	}
}

// Subscribe calls acknowledged once, when Rails listens to the stream.
func (r *Rails) Subscribe(stream string, acknowledged func()) {
	r.mu.Lock()
	s := r.streams[stream]
	if s == nil {
		s = &railsStream{name: stream}
		r.streams[stream] = s
	}
	s.wanted = true
	s.waiters = append(s.waiters, acknowledged)
	r.place(s)
	r.acknowledge(s)
	r.unlock()
}

// Unsubscribe ends a stream; whoever still waits for it is not called.
func (r *Rails) Unsubscribe(stream string) {
	r.mu.Lock()
	defer r.unlock()
	s := r.streams[stream]
	if s == nil {
		return
	}
	s.wanted, s.waiters = false, nil
	for _, e := range s.ears {
		if e.told {
			e.told = false
			r.processes.Unlisten(e.process, s.name)
		}
	}
	r.forgetIfIdle(s)
	delete(r.unheard, s.name)
	r.settle()
}

// Publish has a Rails process broadcast as the app would.
func (r *Rails) Publish(_ context.Context, stream string, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.present) == 0 || r.stopped {
		return errNoProcess
	}
	return r.processes.Publish(r.present[0], stream, payload)
}

var errNoProcess = errors.New("there is no link to a Rails process that could listen: broadcasts.adapter: rails needs one (backend.transport)")

// Ready is nil while broadcasts arrive for every stream that was asked for.
func (r *Rails) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
		return errors.New("it has been stopped")
	case len(r.present) == 0:
		return errNoProcess
	case len(r.unheard) > 0:
		return fmt.Errorf("broadcasts do not arrive: %w; %d streams are being asked for anew", r.missed, len(r.unheard))
	}
	return nil
}

// unlock calls those who have been waiting for what has happened.
func (r *Rails) unlock() {
	due := r.due
	r.due = nil
	r.mu.Unlock()
	for _, acknowledged := range due {
		acknowledged()
	}
}

// live says that all who have been asked listen.
func (s *railsStream) live() bool {
	asked := 0
	for _, e := range s.ears {
		if !e.told || e.silent {
			continue
		}
		if asked++; e.awaited > 0 {
			return false
		}
	}
	return asked > 0
}

func (s *railsStream) ear(p *rpc.Process) *ear {
	for _, e := range s.ears {
		if e.process == p {
			return e
		}
	}
	return nil
}

// place asks those processes for a stream that should have it. r.mu is held.
func (r *Rails) place(s *railsStream) {
	for _, p := range r.present {
		if p.Local {
			r.tell(s, p)
		}
	}
	if len(r.present) > 0 && !r.present[0].Local {
		if !slices.ContainsFunc(s.ears, func(e *ear) bool { return e.told }) {
			r.tell(s, r.home(s.name, r.present))
		}
	}
}

// tell asks a process for a stream, if it has not been asked. r.mu is held.
func (r *Rails) tell(s *railsStream, p *rpc.Process) (e *ear) {
	if e = s.ear(p); e == nil {
		e = &ear{process: p}
		s.ears = append(s.ears, e)
	}
	if !e.told {
		e.told, e.silent = true, false
		e.awaited++
		r.processes.Listen(p, s.name)
	}
	return e
}

// home is the process whose share a stream is. Each has about as many.
func (r *Rails) home(stream string, among []*rpc.Process) *rpc.Process {
	best, most := among[0], uint64(0)
	for _, p := range among {
		if weight := maphash.String(r.seed, p.ID+stream); weight >= most {
			best, most = p, weight
		}
	}
	return best
}

// acknowledge lets those know who wait for a stream, if it is live.
func (r *Rails) acknowledge(s *railsStream) {
	if s.wanted && s.live() {
		delete(r.unheard, s.name)
		r.due, s.waiters = append(r.due, s.waiters...), nil
	}
}

// forgetIfIdle forgets who owes no answer, and the stream if nobody does.
func (r *Rails) forgetIfIdle(s *railsStream) {
	s.ears = slices.DeleteFunc(s.ears, func(e *ear) bool { return !e.told && e.awaited == 0 })
	if !s.wanted && s.move == nil && len(s.ears) == 0 {
		delete(r.streams, s.name)
	}
}

// Came has a process listen to what nobody listens to, or, if broadcasts stay
// in it, to everything.
func (r *Rails) Came(p *rpc.Process) {
	r.mu.Lock()
	defer r.unlock()
	if !slices.Contains(r.present, p) {
		r.present = append(r.present, p)
	}
	for _, m := range slices.Clone(r.moves) {
		switch {
		case len(m.to) > 0:
		case m.from == p: // it stays after all
			r.finish(m)
		default:
			r.begin(m)
		}
	}
	for _, s := range r.streams {
		if s.wanted {
			r.place(s)
		}
	}
	r.settle()
}

// Left forgets a process. What it listened to others do from now on; what was
// broadcast meanwhile is missed.
func (r *Rails) Left(p *rpc.Process) {
	r.mu.Lock()
	defer r.unlock()
	r.present = slices.DeleteFunc(r.present, func(other *rpc.Process) bool { return other == p })
	for _, m := range slices.Clone(r.moves) {
		if m.concerns(p) {
			r.finish(m)
		}
	}
	var lost []string
	for _, s := range r.streams {
		e := s.ear(p)
		if e == nil {
			continue
		}
		s.ears = slices.DeleteFunc(s.ears, func(other *ear) bool { return other == e })
		if s.wanted && e.told && !p.Local {
			lost = append(lost, s.name)
			r.place(s)
		}
		r.acknowledge(s)
		r.forgetIfIdle(s)
	}
	if len(lost) > 0 {
		r.lose(fmt.Errorf("the Rails process %s has ended that listened to %d streams", p.ID, len(lost)), lost...)
	}
	r.settle()
}

// Listening notes that a process listens to a stream, or did.
func (r *Rails) Listening(p *rpc.Process, stream string) {
	r.mu.Lock()
	defer r.unlock()
	if m := r.moveBy(stream); m != nil {
		m.acknowledged(r)
		return
	}
	s := r.streams[stream]
	if s == nil {
		return
	}
	e := s.ear(p)
	if e == nil {
		return
	}
	e.awaited--
	if e.awaited == 0 && e.silent && s.move != nil {
		s.move.acknowledged(r)
	}
	r.acknowledge(s)
	r.forgetIfIdle(s)
	r.settle()
}

// Heard hands a broadcast on to Run, unless another process has the word.
func (r *Rails) Heard(p *rpc.Process, stream string, payload []byte) {
	r.mu.Lock()
	defer r.unlock()
	if m := r.moveBy(stream); m != nil {
		m.marked(r, p)
		return
	}
	s := r.streams[stream]
	if s == nil || !s.wanted {
		return
	}
	a := arrival{stream: stream, payload: payload}
	switch e := s.ear(p); {
	case e == nil:
	case s.move != nil:
		s.move.heard(r, p, a)
	case e.told && !e.silent:
		r.pass(a)
	}
}

// pass has a broadcast delivered. r.mu is held.
func (r *Rails) pass(a arrival) {
	if r.bytes+len(a.payload) > maxWaiting {
		r.overflow = true
		r.lose(fmt.Errorf("more than %d MiB wait to be delivered", maxWaiting>>20))
		return
	}
	r.waiting = append(r.waiting, a)
	r.bytes += len(a.payload)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Missed counts a gap that Rails tells of.
func (r *Rails) Missed(p *rpc.Process, why string) {
	r.mu.Lock()
	defer r.unlock()
	r.lose(fmt.Errorf("the Rails process %s may have missed some: %s", p.ID, why))
	r.settle()
}

// lose begins a gap, which lasts until those streams are listened to again.
// r.mu is held.
func (r *Rails) lose(why error, streams ...string) {
	for _, stream := range streams {
		if s := r.streams[stream]; s != nil && s.wanted && !s.live() {
			r.unheard[stream] = struct{}{}
		}
	}
	if r.missed != nil {
		return
	}
	r.missed, r.since = why, time.Now()
	r.log.Warn("broadcasts can be missed", "error", why)
	r.options.Lost(why)
}

// settle ends the gap if it is over. r.mu is held.
func (r *Rails) settle() {
	if r.missed == nil || len(r.unheard) > 0 || r.overflow {
		return
	}
	gap := time.Since(r.since)
	r.missed = nil
	r.log.Info("broadcasts arrive again", "gap", gap.Round(time.Millisecond))
	r.options.Restored(gap)
}
