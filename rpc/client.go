package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Options say where Rails is and how much may be asked of it.
type Options struct {
	URL         string        // http://127.0.0.1:3000, https://…/path, or unix:/path
	Secret      string        // CATENARY_SECRET or secret_key_base
	Secrets     []string      // others that Rails may have instead, tried in turn while it refuses
	Node        string        // our name
	Transport   string        // Auto, Link or Post; "": Auto
	Timeout     time.Duration // silence after which a linked process is gone; from sending a POST to having its answer
	Concurrency int           // POSTs in flight at most
	Queue       int           // calls that may wait
	ReplyBytes  int64         // the longest answer to a POST that is read; 0: 16 MiB
	Log         *slog.Logger  // nil: nothing is logged

	Observe func(Observation) // is told of every call; may be nil

	// Trace begins to trace a call, of which ctx may hold the parent; nil: calls
	// are not traced.
	Trace func(ctx context.Context, call *Call) Trace
}

// Ways to carry calls.
const (
	Auto = "auto" // over links if they can be had
	Link = "link"
	Post = "post"
)

// Handler is told what Rails does besides answering. Its methods must not block:
// everything that the process says waits for them.
type Handler interface {
	// Effects happen to a connection while its call runs, or after it.
	Effects(connection string, ops []Op)
	// Sync calls done, perhaps later, when all streams of the connection are live.
	Sync(connection string, done func())
	// Keep takes the state that a result lacked.
	Keep(connection string, from *Process, kept Kept)
	// Gone tells that a process has ended. What it held and did not hand over is
	// lost.
	Gone(p *Process)
}

// Client carries calls to Rails. It is safe for concurrent use.
type Client struct {
	options Options
	signers *signers
	target  target
	post    *poster
	log     *slog.Logger
	handler Handler
	opening average

	sparing sparing // asks for settings by POST

	listener Listener // to broadcasts; nil: they come by another way

	dialling chan struct{} // holds one while a finder dials

	mu         sync.Mutex
	links      []*link // in order of their age
	posting    bool    // in place of links
	postReason string  // why, if links were wanted
	waits      lines   // calls for any process
	waiting    int     // calls in all lines
	trouble    error   // why there is no link; nil if there is one, or none was tried
	settings   *Settings
	opened     int64         // links, so far
	changed    chan struct{} // closed when a link comes or goes
	stopped    bool          // Run has returned
	closed     bool
}

// NewClient checks the options; it does not connect.
func NewClient(o Options) (*Client, error) {
	t, err := newTarget(o.URL)
	if err != nil {
		return nil, err
	}
	o.Transport = cmp.Or(o.Transport, Auto)
	o.ReplyBytes = cmp.Or(o.ReplyBytes, 16<<20)
	c := &Client{options: o, signers: newSigners(append([]string{o.Secret}, o.Secrets...)), target: t, log: o.Log, posting: o.Transport == Post, changed: make(chan struct{}), dialling: make(chan struct{}, 1)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.post = newPoster(c)
	return c, nil
}

// Do asks for a call, whose answer done is told, in another goroutine; it must
// not block. With an error, which is ErrNotSent, done is not called: too many calls
// wait (ErrBusy), or Run has returned.
func (c *Client) Do(call Call, done func(Answer)) (*Pending, error) {
	p := &Pending{client: c, call: call, done: done, asked: time.Now()}
	if c.options.Trace != nil {
		p.trace = c.options.Trace(call.Context, &p.call)
		p.call.traceparent = p.trace.Parent
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		err := c.notSentLocked(errStopped)
		c.observe(p, nil, err, time.Now())
		return nil, err
	}
	c.enqueue(p)
	if p.line != nil && call.bounded() && c.waiting > c.options.Queue && c.boundedWaiting() > c.options.Queue {
		p.line.remove(p)
		c.waiting--
		c.observe(p, nil, ErrBusy, time.Now())
		return nil, ErrBusy
	}
	return p, nil
}

// Call is Do for those who can wait. Of a call that has been sent they wait for
// the answer even if ctx ends.
func (c *Client) Call(ctx context.Context, call Call) (*Result, error) {
	answers := make(chan Answer, 1)
	p, err := c.Do(call, func(a Answer) { answers <- a })
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answers:
		return a.Result, a.Err
	case <-ctx.Done():
		if p.Withdraw() {
			return nil, c.NotSent(context.Cause(ctx))
		}
	}
	a := <-answers
	return a.Result, a.Err
}

// answered ends a call with the result that came over a link, or sends it again
// in full.
func (c *Client) answered(l *link, number uint64, result *Result) error {
	now := time.Now()
	c.mu.Lock()
	p := l.release(number)
	if p == nil {
		c.mu.Unlock()
		return fmt.Errorf("the end of call %d, which is not under way", number)
	}
	l.busy = now
	if result.Need != "" && !p.full && p.call.Fill != nil {
		p.full = true
		c.observe(p, result, nil, now)
		l.assign(p, now)
		c.mu.Unlock()
		return nil
	}
	var err error
	if result.Need != "" {
		err = fmt.Errorf("Rails asks for %q after a full call", result.Need)
	}
	c.settle(l.process, p, result)
	c.observe(p, result, err, now)
	c.pump(l)
	c.mu.Unlock()
	p.finish(Answer{Process: l.process, Result: result, Err: err})
	return nil
}

// settle keeps count of where connections are. c.mu is held.
func (c *Client) settle(at *Process, p *Pending, result *Result) {
	ran := result != nil && result.Error == nil && result.Need == ""
	switch {
	case p.call.Do == Open:
		if !ran || !result.Opened() {
			at.connections--
		}
	case p.call.Do == Close:
		if p.call.Home != nil && p.call.Encoded == nil { // else it was another node's
			p.call.Home.connections--
		}
	case ran && p.call.Home != at:
		at.connections++
		if p.call.Home != nil {
			p.call.Home.connections--
		}
	}
}

// finish hands the answer to whoever asked. No lock is held.
func (p *Pending) finish(a Answer) {
	if a.Err != nil {
		a.Result = nil
	}
	p.done(a)
}

// refuse ends a call that cannot be written.
func (c *Client) refuse(l *link, number uint64, err error) {
	c.mu.Lock()
	p := l.release(number)
	if p == nil {
		c.mu.Unlock()
		return
	}
	c.settle(l.process, p, nil)
	c.observe(p, nil, err, time.Now())
	c.pump(l)
	c.mu.Unlock()
	p.finish(Answer{Err: err})
}

// goes notes what a process says of its end.
func (c *Client) goes(l *link, how string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch how {
	case "began":
		l.phase = stopping
		l.outbox = append(l.outbox, outgoing{text: `{"heard":"going"}`})
		l.signal()
	case "handed":
		l.phase = handed
		c.moveWaiting(l)
		c.spread()
	case "revoked":
		l.phase = staying
		c.pump(l)
	default:
		return fmt.Errorf("going is %q: is the gem newer than catenary?", how)
	}
	c.tellOfChange()
	return nil
}

// tellOfChange wakes the finders. c.mu is held.
func (c *Client) tellOfChange() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// change returns a channel that is closed when a link comes or goes.
func (c *Client) change() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// add begins to use a link, unless there is one to its process.
func (c *Client) add(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := slices.ContainsFunc(c.links, func(other *link) bool { return other.process.ID == l.process.ID })
	if known || c.closed {
		return false
	}
	c.links = append(c.links, l)
	c.opened++
	c.posting, c.trouble, c.settings = false, nil, l.hello.Settings
	c.spread()
	c.tellOfChange()
	return true
}

// lost ends a link. Calls that have not run move elsewhere.
func (c *Client) lost(l *link, reason error, byUs bool) {
	c.mu.Lock()
	reason = cmp.Or(l.given, reason)
	switch {
	case c.closed || byUs:
	case reason != nil:
		c.log.Warn("lost the link to a Rails process", "process", l.process.ID, "error", reason)
	default:
		c.log.Info("a Rails process has stopped", "process", l.process.ID)
	}
	c.links = slices.DeleteFunc(c.links, func(other *link) bool { return other == l })
	l.process.link = nil
	if len(c.links) == 0 {
		c.trouble = fmt.Errorf("the last link to Rails has ended: %w", cmp.Or(reason, errors.New("the process has stopped")))
	}
	now := time.Now()
	var mayHaveRun []*Pending
	for number, p := range l.calls {
		l.release(number)
		if p.call.Do == Open {
			l.process.connections--
		}
		if p.written && !l.bye {
			mayHaveRun = append(mayHaveRun, p)
			continue
		}
		p.sent = time.Time{}
		c.waiting++
		c.waits.of(p.call.Do).append(p)
	}
	c.moveWaiting(l)
	c.spread()
	for _, p := range mayHaveRun {
		c.observe(p, nil, ErrGone, now)
	}
	c.tellOfChange()
	c.mu.Unlock()
	for _, p := range mayHaveRun {
		p.finish(Answer{Err: ErrGone})
	}
	if c.listener != nil {
		c.listener.Left(l.process)
	}
	c.handler.Gone(l.process)
}

// giveUp cuts a link.
func (c *Client) giveUp(l *link, reason error) {
	c.mu.Lock()
	l.given = reason
	c.mu.Unlock()
	l.conn.Close()
}

var errStopped = errors.New("catenary is being stopped")

// stop ends the calls that wait.
func (c *Client) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.endWaiting(errStopped, func(*Pending) bool { return true })
}

// expire ends the calls that have waited long enough.
func (c *Client) expire(now time.Time) {
	c.endWaiting(errors.New("Rails could not be reached in time"), func(p *Pending) bool {
		return !p.call.Until.IsZero() && !now.Before(p.call.Until)
	})
}

// endWaiting ends calls that wait.
func (c *Client) endWaiting(reason error, which func(*Pending) bool) {
	now := time.Now()
	c.mu.Lock()
	var late []*Pending
	for _, waiting := range append(c.waits.all(), c.linkLines()...) {
		late = append(late, waiting.takeOut(which)...)
	}
	c.waiting -= len(late)
	err := c.notSentLocked(reason)
	for _, p := range late {
		if p.call.Do == Close {
			c.settle(nil, p, nil) // its connection is gone all the same
		}
		c.observe(p, nil, err, now)
	}
	c.mu.Unlock()
	for _, p := range late {
		p.finish(Answer{Err: err})
	}
}

// boundedWaiting counts the calls that wait and of which only so many may. c.mu is
// held.
func (c *Client) boundedWaiting() (n int) {
	for _, waiting := range append(c.waits.all(), c.linkLines()...) {
		for _, p := range *waiting {
			if p.call.bounded() {
				n++
			}
		}
	}
	return n
}

func (c *Client) linkLines() (all []*line) {
	for _, l := range c.links {
		all = append(all, l.waiting.all()...)
	}
	return all
}

// NotSent says of a call that was withdrawn why it had to wait.
func (c *Client) NotSent(reason error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notSentLocked(reason)
}

// notSentLocked adds to an error why there is no link. c.mu is held.
func (c *Client) notSentLocked(err error) error {
	if errors.Is(err, ErrNotSent) {
		return err
	}
	if c.trouble != nil {
		return fmt.Errorf("%w: %w: %w", err, c.trouble, ErrNotSent)
	}
	return fmt.Errorf("%w: %w", err, ErrNotSent)
}

// Settings asks Rails what it is. Over a link it has said so already; otherwise
// it is asked by POST. Cable is missing unless the way is private.
func (c *Client) Settings(within time.Duration) (*Settings, error) {
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		settings, trouble, linked, posting := c.settings, c.trouble, len(c.links) > 0, c.posting || c.handler == nil
		c.mu.Unlock()
		switch {
		case linked:
			return settings, nil
		case posting:
			return c.sparing.ask(time.Now(), func() (*Settings, error) { return c.post.settings(time.Until(deadline)) })
		case trouble != nil:
			return nil, trouble
		case time.Now().After(deadline):
			return nil, fmt.Errorf("Rails has not been reached yet: %w", ErrNotSent)
		}
	}
}

// Load tells how many calls are in flight and how many wait.
func (c *Client) Load() (inFlight, waiting int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		inFlight += len(l.calls)
	}
	return inFlight + c.post.inFlight, c.waiting
}

// Limit tells how many calls may be in flight now.
func (c *Client) Limit() (limit int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range c.links {
		if l.phase == staying {
			limit += callsPerWorker * l.hello.Workers
		}
	}
	if c.posting {
		limit += c.post.concurrency
	}
	return limit
}

// SetConcurrency changes how many POSTs may be in flight at most.
func (c *Client) SetConcurrency(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.post.concurrency = max(n, 1)
}

// OpenTook tells how long Rails took lately to open a connection, without the
// wait for a turn; 0 if it has opened none.
func (c *Client) OpenTook() time.Duration { return time.Duration(c.opening.Load()) }

// Close closes what is idle. It comes after the last call.
func (c *Client) Close() {
	c.mu.Lock()
	c.closed = true
	links := slices.Clone(c.links)
	c.mu.Unlock()
	for _, l := range links {
		l.conn.Close()
	}
	c.post.close()
}
