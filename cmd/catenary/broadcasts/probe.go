package broadcasts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// Probe has every Rails process broadcast a message from time to time, and waits for it
// where browsers' broadcasts come from. Whatever is wrong in between, a missing gem of the adapter,
// another channel_prefix, another Redis, the message does not arrive, and catenary is not ready.
// The probe wraps the source and keeps its own messages from the hub.
type Probe struct {
	Source
	rails   *rpc.Client
	stream  string
	listens bool          // messages must arrive; else it is enough that Rails can broadcast
	explain func() string // what may be wrong if they do not
	log     *slog.Logger

	mu       sync.Mutex
	live     bool                     // the source has acknowledged the stream
	pending  map[string]chan struct{} // by message: closed when it arrives
	sent     int
	verdicts map[string]verdict // by process
	probed   bool               // there has been a verdict
}

// verdict is the result of a process' last probe.
type verdict struct {
	err error // why its broadcasts do not arrive; nil: they do
	at  time.Time
}

// ReceiveNothing begins every error that keeps broadcasts from browsers.
const ReceiveNothing = "browsers receive nothing: "

const (
	firstTick  = 50 * time.Millisecond  // between looks at what is due, until there is a verdict
	probeTick  = 500 * time.Millisecond // the same from then on
	probeEvery = 10 * time.Second       // between two probes of a process
	probeAgain = time.Second            // the same after a failed one
	probeWait  = 5 * time.Second        // for a message to arrive
)

// NewProbe wraps a source. With the adapter "rails", Rails itself listens: then it is
// enough that Rails can broadcast. explain says what may be wrong if a message does not arrive.
func NewProbe(source Source, adapter, node string, rails *rpc.Client, explain func() string,
	log *slog.Logger) *Probe {
	return &Probe{
		Source: source, rails: rails, explain: explain, log: log,
		stream: "catenary:probe:" + node, listens: adapter != "rails",
		pending: map[string]chan struct{}{}, verdicts: map[string]verdict{},
	}
}

// Run runs the source and keeps the probe's own messages.
func (p *Probe) Run(ctx context.Context, deliver func(stream string, payload []byte)) error {
	if p.listens {
		p.Source.Subscribe(p.stream, p.isLive)
	}
	return p.Source.Run(ctx, func(stream string, payload []byte) {
		if stream == p.stream {
			p.arrived(strings.Trim(string(payload), `"`))
			return
		}
		deliver(stream, payload)
	})
}

func (p *Probe) arrived(message string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waiting := p.pending[message]; waiting != nil {
		close(waiting)
		delete(p.pending, message)
	}
}

func (p *Probe) isLive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = true
}

// Attend probes until ctx is done. It needs links: over POST, Rails' processes cannot be told
// apart.
func (p *Probe) Attend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(p.pause()):
		}
		var probes sync.WaitGroup
		for _, process := range p.due(time.Now()) {
			probes.Go(func() { p.conclude(process, p.probe(ctx, process)) })
		}
		probes.Wait()
	}
}

// pause is short at the start, when readiness waits for the first verdict.
func (p *Probe) pause() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.probed {
		return probeTick
	}
	return firstTick
}

// due returns the processes to probe now, and forgets verdicts on those that are gone.
func (p *Probe) due(now time.Time) (due []*rpc.Process) {
	linked := p.rails.Linked()
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.verdicts, func(id string, _ verdict) bool {
		return !slices.ContainsFunc(linked, func(process *rpc.Process) bool { return process.ID == id })
	})
	if p.listens && !p.live || p.Source.Ready() != nil {
		return nil
	}
	for _, process := range linked {
		last, probed := p.verdicts[process.ID]
		switch past := now.Sub(last.at); {
		case !probed, last.err != nil && past >= probeAgain, p.listens && past >= probeEvery:
			due = append(due, process)
		}
	}
	return due
}

// errUnanswered means that a process has not answered yet, so that nothing is known.
var errUnanswered = errors.New("Rails has not answered the request to broadcast yet (broadcasts.probe)")

// probe returns nil if a message that the process broadcasts arrives.
func (p *Probe) probe(ctx context.Context, process *rpc.Process) error {
	message, arrived := p.next(process)
	defer p.arrived(message) // forgets it if it has not arrived
	broadcasting, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	err := p.rails.Broadcast(broadcasting, process, p.stream, []byte(strconv.Quote(message)))
	var failed *rpc.PublishError
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("%s%w", ReceiveNothing, err)
	case err != nil:
		return errUnanswered
	}
	if !p.listens {
		return nil
	}
	select {
	case <-arrived:
		return nil
	case <-ctx.Done():
		return errUnanswered
	case <-time.After(probeWait):
	}
	if p.Source.Ready() != nil {
		return errUnanswered // the source's own error says more
	}
	return fmt.Errorf("%swhat Rails broadcasts does not arrive: %s", ReceiveNothing, p.explain())
}

// next returns a new message for a process, and a channel that is closed when it arrives.
func (p *Probe) next(process *rpc.Process) (message string, arrived <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	message = process.ID + ":" + strconv.Itoa(p.sent)
	waiting := make(chan struct{})
	p.pending[message] = waiting
	return message, waiting
}

// conclude keeps the result of a probe. If the process has not answered, the last result stays: a
// debugger may have stopped it.
func (p *Probe) conclude(process *rpc.Process, err error) {
	p.mu.Lock()
	before := p.missing()
	last, probed := p.verdicts[process.ID]
	if err == errUnanswered && probed {
		err = last.err
	}
	p.verdicts[process.ID] = verdict{err, time.Now()}
	p.probed = true
	now := p.missing()
	p.mu.Unlock()
	switch {
	case now != nil && now != errUnanswered && (before == nil || before.Error() != now.Error()):
		p.log.Error("Rails' broadcasts do not arrive", "error", now)
	case now == nil && before != nil && before != errUnanswered:
		p.log.Info("Rails' broadcasts arrive")
	}
}

// missing returns why the broadcasts of some process do not arrive, or nil. p.mu is held.
func (p *Probe) missing() (first error) {
	for _, id := range slices.Sorted(maps.Keys(p.verdicts)) {
		if err := p.verdicts[id].err; err != nil && (first == nil || first == errUnanswered) {
			first = err
		}
	}
	return first
}

// Ready returns nil if no process' broadcasts are known to be missing. At the start there must have
// been one verdict, unless calls go by POST.
func (p *Probe) Ready() error {
	if err := p.Source.Ready(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.probed || p.rails.Transport() == rpc.Post:
	case p.listens && !p.live:
		return fmt.Errorf("catenary is not subscribed to its own stream %s yet: "+
			"if that lasts, allow that channel in the ACL of Redis, for Rails too", p.stream)
	default:
		return errUnanswered
	}
	return p.missing()
}
