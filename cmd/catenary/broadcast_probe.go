package main

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

// A broadcastProbe has every Rails process broadcast a word now and then, and listens for
// it where browsers' broadcasts come from: whatever is wrong on the way, from the
// adapter's gem over the channel_prefix to another Redis, the word does not
// arrive. It stands between the source and the hub.
type broadcastProbe struct {
	source
	rails   *rpc.Client
	stream  string
	listens bool
	why     func() string // what may be wrong, for the message
	log     *slog.Logger

	mu       sync.Mutex
	live     bool                     // the source has acknowledged the stream
	words    map[string]chan struct{} // that are on their way
	spoken   int
	verdicts map[string]verdict // by process
	asked    bool               // there has been one
}

// verdict is what is known of one process' broadcasts.
type verdict struct {
	err   error // why they do not arrive
	since time.Time
}

const (
	probeTick  = 50 * time.Millisecond
	probeEvery = 10 * time.Second // between words of a process
	probeAgain = time.Second      // the same while one is missing
	probeWait  = 5 * time.Second  // for a word to arrive
)

// newBroadcastProbe makes one that finds out from why, if need be, what may be wrong.
// Where Rails itself listens (adapter rails) it suffices that it can broadcast.
func newBroadcastProbe(source source, adapter string, rails *rpc.Client, why func() string, log *slog.Logger) *broadcastProbe {
	return &broadcastProbe{
		source: source, rails: rails, why: why, log: log, stream: "catenary:probe:" + node(), listens: adapter != "rails",
		words: map[string]chan struct{}{}, verdicts: map[string]verdict{},
	}
}

// Run is the source's, less what is only for us.
func (p *broadcastProbe) Run(ctx context.Context, deliver func(stream string, payload []byte)) error {
	if p.listens {
		p.source.Subscribe(p.stream, p.isLive)
	}
	return p.source.Run(ctx, func(stream string, payload []byte) {
		if stream == p.stream {
			p.arrives(strings.Trim(string(payload), `"`))
			return
		}
		deliver(stream, payload)
	})
}

func (p *broadcastProbe) arrives(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waiting := p.words[word]; waiting != nil {
		close(waiting)
		delete(p.words, word)
	}
}

func (p *broadcastProbe) isLive() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live = true
}

// attend asks for words until ctx ends. Over POST there is no way to.
func (p *broadcastProbe) attend(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(probeTick):
		}
		var asking sync.WaitGroup
		for _, process := range p.due(time.Now()) {
			asking.Go(func() { p.conclude(process, p.ask(ctx, process)) })
		}
		asking.Wait()
	}
}

// due are the processes that are to be asked, and forgets those that are gone.
func (p *broadcastProbe) due(now time.Time) (due []*rpc.Process) {
	linked := p.rails.Linked()
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.verdicts, func(id string, _ verdict) bool {
		return !slices.ContainsFunc(linked, func(process *rpc.Process) bool { return process.ID == id })
	})
	if p.listens && !p.live || p.source.Ready() != nil {
		return nil
	}
	for _, process := range linked {
		last, asked := p.verdicts[process.ID]
		switch past := now.Sub(last.since); {
		case !asked, last.err != nil && past >= probeAgain, p.listens && past >= probeEvery:
			due = append(due, process)
		}
	}
	return due
}

// errUnanswered says that a process has not answered: that is not known.
var errUnanswered = errors.New("Rails has not broadcast yet what it was asked to")

func (p *broadcastProbe) ask(ctx context.Context, process *rpc.Process) error {
	word, arrived := p.word(process)
	defer p.arrives(word)
	broadcasting, done := context.WithTimeout(ctx, probeWait)
	defer done()
	err := p.rails.Broadcast(broadcasting, process, p.stream, []byte(strconv.Quote(word)))
	var failed *rpc.PublishError
	switch {
	case errors.As(err, &failed):
		return fmt.Errorf("browsers hear nothing: %w", err)
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
	if p.source.Ready() != nil {
		return errUnanswered // which says more
	}
	return fmt.Errorf("browsers hear nothing: what Rails broadcasts does not arrive: %s", p.why())
}

func (p *broadcastProbe) word(process *rpc.Process) (string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spoken++
	word, arrived := process.ID+":"+strconv.Itoa(p.spoken), make(chan struct{})
	p.words[word] = arrived
	return word, arrived
}

// conclude keeps what is known now of a process. That it has not answered says
// nothing: a debugger may hold it.
func (p *broadcastProbe) conclude(process *rpc.Process, err error) {
	p.mu.Lock()
	before := p.deaf()
	last, asked := p.verdicts[process.ID]
	if err == errUnanswered && asked {
		err = last.err
	}
	p.verdicts[process.ID], p.asked = verdict{err, time.Now()}, true
	now := p.deaf()
	p.mu.Unlock()
	switch {
	case now != nil && now != errUnanswered && (before == nil || before.Error() != now.Error()):
		p.log.Error("Rails' broadcasts do not arrive", "error", now)
	case now == nil && before != nil && before != errUnanswered:
		p.log.Info("Rails' broadcasts arrive")
	}
}

// deaf is why a process' broadcasts do not arrive. p.mu is held.
func (p *broadcastProbe) deaf() (why error) {
	for _, id := range slices.Sorted(maps.Keys(p.verdicts)) {
		if err := p.verdicts[id].err; err != nil && (why == nil || why == errUnanswered) {
			why = err
		}
	}
	return why
}

// Ready is nil if what the source hears is all that Rails broadcasts, as far as
// it is known. At the start it must be known, unless calls go by POST.
func (p *broadcastProbe) Ready() error {
	if err := p.source.Ready(); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.asked || p.rails.Transport() == rpc.Post:
	case p.listens && !p.live:
		return fmt.Errorf("catenary does not hear a stream of its own yet, %s: if that lasts, have the ACL of Redis allow it, for Rails too", p.stream)
	default:
		return errUnanswered
	}
	return p.deaf()
}
