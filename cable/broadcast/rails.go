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

// maxWaiting bounds the bytes of broadcasts that wait for Run; further ones are dropped.
const maxWaiting = 32 << 20

var errNoProcess = errors.New("no Rails process can listen for broadcasts: broadcasts.adapter: rails needs a link " +
	"(backend.transport)")

// RailsOptions configure a Rails source. Both functions may be nil.
type RailsOptions struct {
	Lost     func(cause error)       // a gap begins: broadcasts may be missed
	Restored func(gap time.Duration) // the gap is over
}

// Processes are the links to Rails: *rpc.Client.
type Processes interface {
	SetListener(rpc.Listener)
	Listen(p *rpc.Process, streams ...string)
	Unlisten(p *rpc.Process, streams ...string)
	Publish(p *rpc.Process, stream string, payload []byte) error
	Start(p *rpc.Process)
	Moved(p *rpc.Process)
}

// Rails receives broadcasts through the app's own pub/sub adapter, whichever it is: Rails processes
// listen and forward what they receive over their links.
//
// With the adapters async, inline and test a broadcast stays in the process that makes it, so every
// process listens to every stream (rpc.Process.Local). With all other adapters one process listens
// to each stream, and the streams are spread over the processes, since an adapter may poll.
type Rails struct {
	options RailsOptions
	links   Processes
	log     *slog.Logger
	seed    maphash.Seed
	wake    chan struct{} // holds one token while something waits for Run

	mu        sync.Mutex
	stopped   bool
	processes []*rpc.Process // those that are not stopping, oldest first
	streams   map[string]*railsStream
	moves     []*move
	starting  map[*rpc.Process]int // by new process: answers that it owes before it gets calls

	// broadcasts that wait for Run
	waiting  []received
	bytes    int  // of their payloads
	overflow bool // some were dropped since Run last took them

	// the current gap
	gap        error // its cause; nil: broadcasts arrive
	gapSince   time.Time
	gapStreams map[string]struct{} // the gap lasts until these are live

	due []func() // acknowledgements that unlock calls
}

// received is one broadcast.
type received struct {
	stream  string
	payload []byte
}

// railsStream is a stream that is wanted, or about which a process still owes an answer. Rails.mu
// guards it.
type railsStream struct {
	name      string
	wanted    bool
	listeners []*streamListener
	waiters   []func() // acknowledgements to call when it is live
	move      *move    // nil unless the stream is moving to another process
}

// streamListener is a process that was asked to listen to a stream.
type streamListener struct {
	process    *rpc.Process
	active     bool // the last request was Listen, not Unlisten
	unanswered int  // Listen requests
	starting   bool // the process gets no calls before it has answered
	standby    bool // part of a move: its broadcasts do not count yet
}

// NewRails returns a source that learns of processes while rpc.Client.Run runs.
func NewRails(links Processes, options RailsOptions, log *slog.Logger) *Rails {
	if options.Lost == nil {
		options.Lost = func(error) {}
	}
	if options.Restored == nil {
		options.Restored = func(time.Duration) {}
	}
	r := &Rails{
		options: options, links: links, log: log, seed: maphash.MakeSeed(),
		wake:    make(chan struct{}, 1),
		streams: map[string]*railsStream{}, gapStreams: map[string]struct{}{},
		starting: map[*rpc.Process]int{},
	}
	links.SetListener(r)
	return r
}

// Run delivers broadcasts until ctx ends, and then returns nil.
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
		batch := r.waiting
		r.waiting = nil
		r.bytes = 0
		r.overflow = false
		r.endGap()
		r.mu.Unlock()
		for _, b := range batch {
			deliver(b.stream, b.payload)
		}
	}
}

// Subscribe calls acknowledged once, when Rails listens to the stream.
func (r *Rails) Subscribe(stream string, acknowledged func()) {
	r.mu.Lock()
	defer r.unlock()
	s := r.streams[stream]
	if s == nil {
		s = &railsStream{name: stream}
		r.streams[stream] = s
	}
	s.wanted = true
	s.waiters = append(s.waiters, acknowledged)
	r.assign(s)
	r.acknowledge(s)
}

// Unsubscribe leaves a stream. Acknowledgements still due for it are not called.
func (r *Rails) Unsubscribe(stream string) {
	r.mu.Lock()
	defer r.unlock()
	s := r.streams[stream]
	if s == nil {
		return
	}
	s.wanted = false
	s.waiters = nil
	for _, l := range s.listeners {
		if l.active {
			l.active = false
			r.links.Unlisten(l.process, s.name)
		}
	}
	r.forgetIfIdle(s)
	delete(r.gapStreams, s.name)
	r.endGap()
}

// Publish has a Rails process broadcast as the app would.
func (r *Rails) Publish(_ context.Context, stream string, payload []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.processes) == 0 || r.stopped {
		return errNoProcess
	}
	return r.links.Publish(r.processes[0], stream, payload)
}

// Ready returns why broadcasts do not arrive now, or nil.
func (r *Rails) Ready() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.stopped:
		return errSourceStopped
	case len(r.processes) == 0:
		return errNoProcess
	case len(r.gapStreams) > 0:
		return fmt.Errorf("broadcasts do not arrive: %w; subscribing to %d streams again", r.gap, len(r.gapStreams))
	}
	return nil
}

// ProcessReady has a process listen to the streams that no process listens to, or to all streams if
// broadcasts stay in the process that makes them. After its answers, the process gets calls.
func (r *Rails) ProcessReady(p *rpc.Process) {
	r.mu.Lock()
	defer r.unlock()
	if !slices.Contains(r.processes, p) {
		r.processes = append(r.processes, p)
	}
	for _, m := range slices.Clone(r.moves) {
		switch {
		case len(m.to) > 0:
		case m.from == p: // it does not stop after all
			r.finish(m)
		default:
			r.begin(m)
		}
	}
	for _, s := range r.streams {
		if s.wanted {
			r.assign(s)
		}
	}
	r.start(p)
	r.endGap()
}

// start lets a process get calls when it has answered every Listen request. r.mu is held.
func (r *Rails) start(p *rpc.Process) {
	var wanted []string
	for _, s := range r.streams {
		l := s.listener(p)
		if l != nil && l.unanswered > 0 {
			if !l.starting { // otherwise it was about to stop and stays, and is counted already
				l.starting = true
				r.starting[p]++
			}
			wanted = append(wanted, s.name)
		}
	}
	if len(wanted) == 0 {
		r.links.Start(p)
		return
	}
	if p.Local {
		r.beginGap(fmt.Errorf("the Rails process %s is new, and nothing has listened to its broadcasts so far", p.ID), wanted...)
	}
}

// ProcessStopping moves the streams of a process that is stopping to others.
func (r *Rails) ProcessStopping(p *rpc.Process) {
	r.mu.Lock()
	defer r.unlock()
	r.processes = slices.DeleteFunc(r.processes, func(other *rpc.Process) bool { return other == p })
	listens := false
	for _, s := range r.streams {
		l := s.listener(p)
		listens = listens || l != nil && l.active
	}
	alone := len(r.processes) == 0 && p.Count < 2 // no other process, not even one without a link
	if p.Local || !listens || alone {
		r.links.Moved(p)
		return
	}
	if len(r.processes) == 0 && len(r.moves) > 0 { // all of them stop: none waits for another
		for _, m := range slices.Clone(r.moves) {
			r.finish(m)
		}
		r.links.Moved(p)
		return
	}
	r.startMove(p)
}

// ProcessGone forgets a process that is gone. Other processes listen to its streams from now on;
// what was broadcast in between is missed.
func (r *Rails) ProcessGone(p *rpc.Process) {
	r.mu.Lock()
	defer r.unlock()
	r.processes = slices.DeleteFunc(r.processes, func(other *rpc.Process) bool { return other == p })
	delete(r.starting, p)
	for _, m := range slices.Clone(r.moves) {
		if m.involves(p) {
			r.finish(m)
		}
	}
	var lost []string
	for _, s := range r.streams {
		l := s.listener(p)
		if l == nil {
			continue
		}
		s.listeners = slices.DeleteFunc(s.listeners, func(other *streamListener) bool { return other == l })
		if s.wanted && l.active && !p.Local {
			lost = append(lost, s.name)
			r.assign(s)
		}
		r.acknowledge(s)
		r.forgetIfIdle(s)
	}
	if len(lost) > 0 {
		r.beginGap(fmt.Errorf("the Rails process %s, which listened to %d streams, is gone", p.ID, len(lost)), lost...)
	}
	r.endGap()
}

// Listening is a process' answer to Listen.
func (r *Rails) Listening(p *rpc.Process, stream string) {
	r.mu.Lock()
	defer r.unlock()
	if m := r.moveWithMarker(stream); m != nil {
		m.answered(r)
		return
	}
	s := r.streams[stream]
	if s == nil {
		return
	}
	l := s.listener(p)
	if l == nil {
		return
	}
	l.unanswered--
	if l.unanswered == 0 && l.standby && s.move != nil {
		s.move.answered(r)
	}
	if l.unanswered == 0 && l.starting {
		l.starting = false
		r.starting[p]--
		if r.starting[p] == 0 {
			delete(r.starting, p)
			r.links.Start(p)
		}
	}
	r.acknowledge(s)
	r.forgetIfIdle(s)
	r.endGap()
}

// Received queues a broadcast for Run, unless another process' copy of it counts.
func (r *Rails) Received(p *rpc.Process, stream string, payload []byte) {
	r.mu.Lock()
	defer r.unlock()
	if m := r.moveWithMarker(stream); m != nil {
		m.marked(r, p)
		return
	}
	s := r.streams[stream]
	if s == nil || !s.wanted {
		return
	}
	l := s.listener(p)
	if l == nil {
		return
	}
	b := received{stream, payload}
	switch {
	case s.move != nil:
		s.move.received(r, p, b)
	case l.active && !l.standby:
		r.pass(b)
	}
}

// Missed notes a gap that a process reports. The gap is over already.
func (r *Rails) Missed(p *rpc.Process, reason string) {
	r.mu.Lock()
	defer r.unlock()
	r.beginGap(fmt.Errorf("the Rails process %s may have missed broadcasts: %s", p.ID, reason))
	r.endGap()
}

// unlock releases mu and then calls the acknowledgements that are due, since they may call r again.
func (r *Rails) unlock() {
	due := r.due
	r.due = nil
	r.mu.Unlock()
	for _, acknowledged := range due {
		acknowledged()
	}
}

// assign asks the processes that should listen to a stream to do so. r.mu is held.
func (r *Rails) assign(s *railsStream) {
	for _, p := range r.processes {
		if p.Local {
			r.listen(s, p)
		}
	}
	if len(r.processes) == 0 || r.processes[0].Local {
		return
	}
	if !slices.ContainsFunc(s.listeners, func(l *streamListener) bool { return l.active }) {
		r.listen(s, r.pick(s.name, r.processes))
	}
}

// listen asks a process to listen to a stream, unless it was asked already. r.mu is held.
func (r *Rails) listen(s *railsStream, p *rpc.Process) *streamListener {
	l := s.listener(p)
	if l == nil {
		l = &streamListener{process: p}
		s.listeners = append(s.listeners, l)
	}
	if !l.active {
		l.active = true
		l.standby = false
		l.unanswered++
		r.links.Listen(p, s.name)
	}
	return l
}

// pick spreads streams evenly over processes, by rendezvous hashing.
func (r *Rails) pick(stream string, among []*rpc.Process) *rpc.Process {
	best, highest := among[0], uint64(0)
	for _, p := range among {
		if weight := maphash.String(r.seed, p.ID+stream); weight >= highest {
			best, highest = p, weight
		}
	}
	return best
}

// acknowledge makes the acknowledgements of a stream due, if it is live. r.mu is held.
func (r *Rails) acknowledge(s *railsStream) {
	if s.wanted && s.live() {
		delete(r.gapStreams, s.name)
		r.due = append(r.due, s.waiters...)
		s.waiters = nil
	}
}

// forgetIfIdle drops listeners that owe no answer, and the stream when none is left. r.mu is held.
func (r *Rails) forgetIfIdle(s *railsStream) {
	s.listeners = slices.DeleteFunc(s.listeners, func(l *streamListener) bool {
		return !l.active && l.unanswered == 0
	})
	if !s.wanted && s.move == nil && len(s.listeners) == 0 {
		delete(r.streams, s.name)
	}
}

// pass queues a broadcast for Run. r.mu is held.
func (r *Rails) pass(b received) {
	if r.bytes+len(b.payload) > maxWaiting {
		r.overflow = true
		r.beginGap(fmt.Errorf("more than %d MiB of broadcasts wait for delivery", maxWaiting>>20))
		return
	}
	r.waiting = append(r.waiting, b)
	r.bytes += len(b.payload)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// beginGap begins a gap, or extends the current one, until these streams are live again. r.mu is
// held.
func (r *Rails) beginGap(cause error, streams ...string) {
	for _, stream := range streams {
		if s := r.streams[stream]; s != nil && s.wanted && !s.live() {
			r.gapStreams[stream] = struct{}{}
		}
	}
	if r.gap != nil {
		return
	}
	r.gap = cause
	r.gapSince = time.Now()
	r.log.Warn("broadcasts may be missed", "error", cause)
	r.options.Lost(cause)
}

// endGap ends the current gap unless its cause persists. r.mu is held.
func (r *Rails) endGap() {
	if r.gap == nil || len(r.gapStreams) > 0 || r.overflow {
		return
	}
	gap := time.Since(r.gapSince)
	r.gap = nil
	r.log.Info("broadcasts arrive again", "gap", gap.Round(time.Millisecond))
	r.options.Restored(gap)
}

// live reports whether every process that was asked listens.
func (s *railsStream) live() bool {
	asked := 0
	for _, l := range s.listeners {
		if !l.active || l.standby {
			continue
		}
		if l.unanswered > 0 {
			return false
		}
		asked++
	}
	return asked > 0
}

func (s *railsStream) listener(p *rpc.Process) *streamListener {
	for _, l := range s.listeners {
		if l.process == p {
			return l
		}
	}
	return nil
}
