package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Options configure a Client.
type Options struct {
	URL         string        // http://127.0.0.1:3000, https://…/path, or unix:/path
	Secret      string        // CATENARY_SECRET or secret_key_base
	Secrets     []string      // others that Rails may have instead, tried in turn if it rejects Secret
	Node        string        // this node's name
	Transport   string        // Auto, Link or Post; "": Auto
	Timeout     time.Duration // silence after which a linked process is gone; time for a POST's answer
	Concurrency int           // POSTs in flight at most
	Queue       int           // calls that may wait; closes and broadcasts do not count
	ReplyBytes  int64         // longest answer to a POST; 0: 16 MiB
	Log         *slog.Logger  // nil: nothing is logged

	Observe func(Observation) // called with the outcome of every call; may be nil

	// Trace starts a trace of a call, whose parent is in ctx if there is one; nil: calls are not
	// traced.
	Trace func(ctx context.Context, call *Call) Trace
}

// Transports.
const (
	Auto = "auto" // Link if Rails can have links, else Post
	Link = "link"
	Post = "post"
)

// Handler receives what Rails sends besides answers. Its methods must not block: they run on the
// reader of the process' link.
type Handler interface {
	// Effects applies effects to a connection, while a call of it runs or later.
	Effects(connection string, ops []Op)
	// Sync calls done when all streams of the connection are live, perhaps before it returns.
	Sync(connection string, done func())
	// Keep stores the state that a process hands over after a result.
	Keep(connection string, from *Process, kept Kept)
	// Gone reports that the link to a process has closed. What the process held and had not handed
	// over is lost.
	Gone(p *Process)
}

// Client carries calls to Rails. It is safe for concurrent use.
type Client struct {
	// static after construction
	options Options
	signers *signers
	target  target
	post    *poster
	log     *slog.Logger

	listener Listener // receives broadcasts; nil: no process listens. Static after Run has begun

	openLatency     average
	settingsBackoff settingsBackoff
	dialling        chan struct{} // holds a token while a finder dials

	mu          sync.Mutex
	handler     Handler // nil: Run has not begun; static afterwards
	links       []*link // oldest first
	linksOpened int64
	linksChange chan struct{} // closed and replaced when a link opens, closes or changes its phase
	posting     bool          // calls go by POST while there is no link
	postReason  string        // why, if links were wanted
	queues      queues        // calls for any process
	queued      int           // calls in all queues, those of links included
	resting     bool          // maintain pauses for restPause
	called      chan struct{} // holds a token if a call has come meanwhile
	unreachable error         // why calls cannot be sent; nil: they can, or nothing was tried yet
	settings    *Settings     // from the latest link
	stopped     bool          // Run has returned
	closed      bool
}

// NewClient checks the options. It does not connect.
func NewClient(o Options) (*Client, error) {
	t, err := newTarget(o.URL)
	if err != nil {
		return nil, err
	}
	o.Transport = cmp.Or(o.Transport, Auto)
	o.ReplyBytes = cmp.Or(o.ReplyBytes, 16<<20)
	c := &Client{
		options: o, signers: newSigners(append([]string{o.Secret}, o.Secrets...)), target: t, log: o.Log,
		posting: o.Transport == Post, linksChange: make(chan struct{}), dialling: make(chan struct{}, 1), called: make(chan struct{}, 1),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.post = newPoster(c)
	return c, nil
}

// Run keeps a link to every Rails process until ctx ends, and then returns nil. When it returns,
// queued calls fail with ErrNotSent, as do later ones.
func (c *Client) Run(ctx context.Context, handler Handler) error {
	c.mu.Lock()
	c.handler = handler
	c.mu.Unlock()
	var running sync.WaitGroup
	defer c.stop()
	defer running.Wait()
	running.Go(func() { c.maintain(ctx) })
	if c.options.Transport != Post {
		c.find(ctx, &running)
	}
	return nil
}

// maintain pings the links, starts processes that nobody has started within startWait, and fails
// calls that have waited too long.
func (c *Client) maintain(ctx context.Context) {
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.called: // which needs a shorter pause
			continue
		case <-time.After(c.rest() - time.Since(last)):
		}
		now := time.Now()
		last = now
		c.expire(now)
		c.mu.Lock()
		c.pumpAll() // a process may have begun to stall: its share goes to the others
		links := slices.Clone(c.links)
		c.mu.Unlock()
		for _, l := range links {
			l.ping(now, c.options.Timeout)
			if now.Sub(l.since) > startWait {
				c.Start(l.process)
			}
		}
	}
}

// restPause is the time between two rounds of maintain while there are no calls.
const restPause = time.Second

// rest returns the time between two rounds of maintain. If it is restPause, the next call wakes
// maintain.
func (c *Client) rest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.resting = c.queued == 0 && c.post.inFlight == 0 && !slices.ContainsFunc(c.links, func(l *link) bool { return len(l.calls) > 0 })
	if c.resting {
		return restPause
	}
	return stallAfter
}

var errStopped = errors.New("catenary is stopping")

// stop fails the queued calls, and all later ones.
func (c *Client) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.failQueued(errStopped, func(*Pending) bool { return true })
}

// Do makes a call, which it owns from then on. It calls done with the answer, once and in another
// goroutine; done must not block. If Do returns an error, it wraps ErrNotSent and done is not called:
// too many calls wait (ErrBusy), or Run has returned.
func (c *Client) Do(call *Call, done func(Answer)) (*Pending, error) {
	p := &Pending{client: c, call: call, done: done, madeAt: time.Now()}
	if c.options.Trace != nil {
		p.trace = c.options.Trace(call.Context, call)
		call.traceparent = p.trace.Parent
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		err := c.notSent(errStopped)
		c.observe(p, nil, err, time.Now())
		return nil, err
	}
	c.enqueue(p)
	if p.queue != nil && call.bounded() && c.queueFull() {
		p.queue.remove(p)
		c.queued--
		c.observe(p, nil, ErrBusy, time.Now())
		return nil, ErrBusy
	}
	return p, nil
}

// Call is Do that waits for the answer. If ctx ends, a queued call fails with ErrNotSent; one that
// has been sent is waited for all the same.
func (c *Client) Call(ctx context.Context, call Call) (*Result, error) {
	answers := make(chan Answer, 1)
	p, err := c.Do(&call, func(a Answer) { answers <- a })
	if err != nil {
		return nil, err
	}
	select {
	case a := <-answers:
		return a.Result, a.Err
	case <-ctx.Done():
		withdrawn := p.Withdraw()
		if withdrawn {
			return nil, c.NotSentError(context.Cause(ctx))
		}
	}
	a := <-answers
	return a.Result, a.Err
}

// answered finishes a call with its result, or sends it again in full if the process lacks the
// connection's state.
func (c *Client) answered(l *link, number uint64, result *Result) error {
	now := time.Now()
	c.mu.Lock()
	p := l.release(number)
	if p == nil {
		c.mu.Unlock()
		return fmt.Errorf("result of call %d, which is not in flight", number)
	}
	l.lastProgress = now
	if result.Need != "" && !p.full && p.call.Fill != nil {
		p.full = true
		c.observe(p, result, nil, now)
		l.assign(p, now)
		c.mu.Unlock()
		return nil
	}
	var err error
	if result.Need != "" {
		err = needError(result.Need)
	}
	c.countConnection(l.process, p, result)
	c.observe(p, result, err, now)
	c.pump(l)
	c.mu.Unlock()
	p.finish(Answer{Process: l.process, Result: result, Err: err})
	return nil
}

// callFailed finishes a call that could not be written.
func (c *Client) callFailed(l *link, number uint64, err error) {
	c.mu.Lock()
	p := l.release(number)
	if p == nil {
		c.mu.Unlock()
		return
	}
	c.countConnection(l.process, p, nil)
	c.observe(p, nil, err, time.Now())
	c.pump(l)
	c.mu.Unlock()
	p.finish(Answer{Err: err})
}

// NotSentError returns the error of a call that was withdrawn for a reason. It wraps ErrNotSent and
// adds why the call had to wait.
func (c *Client) NotSentError(reason error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.notSent(reason)
}

// notSent is NotSentError with c.mu held.
func (c *Client) notSent(reason error) error {
	if errors.Is(reason, ErrNotSent) {
		return reason
	}
	if c.unreachable != nil {
		return fmt.Errorf("%w: %w: %w", reason, c.unreachable, ErrNotSent)
	}
	return fmt.Errorf("%w: %w", reason, ErrNotSent)
}

// Settings returns the app's settings: those that came with the latest link or, without links, the
// answer to a POST. It waits for them, up to within. Settings.Cable is nil unless the transport is
// private.
func (c *Client) Settings(within time.Duration) (*Settings, error) {
	for deadline := time.Now().Add(within); ; time.Sleep(10 * time.Millisecond) {
		c.mu.Lock()
		settings, unreachable := c.settings, c.unreachable
		linked, posting := len(c.links) > 0, c.posting || c.handler == nil
		c.mu.Unlock()
		switch {
		case linked:
			return settings, nil
		case posting:
			return c.settingsBackoff.ask(time.Now(), func() (*Settings, error) {
				return c.post.settings(time.Until(deadline))
			})
		case unreachable != nil:
			return nil, unreachable
		case time.Now().After(deadline):
			return nil, fmt.Errorf("Rails has not been reached yet: %w", ErrNotSent)
		}
	}
}

// SetConcurrency changes how many POSTs may be in flight.
func (c *Client) SetConcurrency(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.post.concurrency = max(n, 1)
}

// Close closes links and idle connections. Call it after the last call.
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

// settingsBackoff asks an app without the gem for its settings less and less often: each request is
// an error in Rails' log.
type settingsBackoff struct {
	mu    sync.Mutex
	err   error // the last answer, if it was 404
	pause time.Duration
	next  time.Time // when the app may be asked again
}

// ask calls f, unless it is too early after a 404: then it returns the same error again.
func (b *settingsBackoff) ask(now time.Time, f func() (*Settings, error)) (*Settings, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil && now.Before(b.next) {
		return nil, b.err
	}
	settings, err := f()
	var answer *StatusError
	if !errors.As(err, &answer) || answer.Status != http.StatusNotFound {
		b.err = nil
		b.pause = 0
		return settings, err
	}
	b.pause = min(max(2*b.pause, time.Second), noGemPause)
	b.err = err
	b.next = now.Add(b.pause)
	return nil, err
}
