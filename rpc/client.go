package rpc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// Options say where Rails is and how much may be asked of it.
type Options struct {
	URL         string        // http://127.0.0.1:3000, https://…, or unix:/path
	Secret      string        // CATENARY_SECRET or secret_key_base
	Node        string        // our name, part of the stream of late effects
	Timeout     time.Duration // from sending a call to having its answer
	Concurrency int           // calls in flight at most
	Adapt       bool          // fewer while Rails is slow
	Queue       int           // calls that may wait for one in flight to end
	ReplyBytes  int64         // the longest answer that is read

	Observe func(Observation) // is told of every call; may be nil

	// Trace begins to trace a call, of which ctx may hold the parent; nil: calls
	// are not traced.
	Trace func(ctx context.Context, calls []Call) Trace
}

// Client makes calls to Rails. It is safe for concurrent use.
type Client struct {
	options Options
	signer  *signer
	pool    *pool
	lanes   *lanes
	opening average

	governor *governor // nil: the limit is fixed
}

// NewClient checks the options; it does not connect.
func NewClient(o Options) (*Client, error) {
	p, err := newPool(o.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{
		options: o,
		signer:  newSigner(o.Secret),
		pool:    p,
		lanes:   &lanes{limit: max(o.Concurrency, 1), maxWait: o.Queue},
	}
	p.setAtOnce(c.lanes.limit)
	if o.Adapt {
		c.governor = newGovernor(c.lanes.limit)
	}
	return c, nil
}

// Call runs calls of different connections in one request, if possible in the
// process boot, which knows them ("" for any). The reply has as many results
// as there are calls. An error that is ErrNotSent has not reached Rails. ctx
// ends the waiting for a turn; once it is its turn, a call is seen through
// even if nobody waits for it any more: what Rails has begun we must know.
func (c *Client) Call(ctx context.Context, boot string, calls ...Call) (reply *Reply, err error) {
	j, asked, trace := &job{done: make(chan struct{}), coming: len(calls) > 0 && calls[0].Do == Open}, time.Now(), c.trace(ctx, calls)
	j.run = func() {
		turn := time.Now()
		reply, err = c.make(boot, c.options.Timeout, calls, trace.Parent)
		took := time.Since(turn)
		c.govern(calls, reply, err, took)
		c.observe(trace, calls, reply, err, turn.Sub(asked), took)
	}
	if !c.lanes.submit(j) {
		c.observe(trace, calls, nil, ErrBusy, 0, 0)
		return nil, ErrBusy
	}
	select {
	case <-j.done:
	case <-ctx.Done():
		if c.lanes.withdraw(j) {
			err = notSent(context.Cause(ctx))
			c.observe(trace, calls, nil, err, time.Since(asked), 0)
			return nil, err
		}
		<-j.done
	}
	return reply, err
}

// make makes calls, and makes short ones again elsewhere as long as they have
// come to a process that does not know them, while the one that does may be
// found: such an answer says that nothing has run.
func (c *Client) make(boot string, within time.Duration, calls []Call, traceparent string) (*Reply, error) {
	deadline := time.Now().Add(within)
	short := len(calls) > 0 && calls[0].Do != Open && len(calls[0].Request) == 0 && calls[0].Encoded == nil
	for tries := 1; ; tries++ {
		w, err := c.pool.get(boot, short && boot != "", tries > 1, deadline)
		if err != nil {
			return nil, err
		}
		reply, err := c.over(w, deadline, calls, traceparent)
		if errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, ErrNotSent) {
			err = timeoutError(within)
		}
		if err != nil {
			return nil, err
		}
		if !short || boot == "" || reply.Boot == boot || reply.Results[0].Need == "" {
			return reply, nil
		}
		if tries >= c.pool.searches() {
			c.pool.giveUp(boot)
		}
		if c.pool.isGone(boot) {
			return reply, nil
		}
	}
}

// over makes calls over one wire, and gives it back.
func (c *Client) over(w *wire, deadline time.Time, calls []Call, traceparent string) (*Reply, error) {
	w.prepare(c.pool.host, c.signer, c.options.Node, traceparent, calls, time.Now())
	answer, sent, err := w.post(deadline, c.options.ReplyBytes)
	if status := new(StatusError); err != nil && !errors.As(err, &status) {
		c.pool.discard(w)
		if !sent {
			err = notSent(err)
		}
		return nil, err
	}
	var reply *Reply
	if err == nil {
		if reply, err = parseReply(answer); err == nil && len(reply.Results) != len(calls) {
			err = fmt.Errorf("Rails answered %d results to %d calls", len(reply.Results), len(calls))
		}
	}
	if reply != nil {
		c.pool.learn(w, reply.Boot)
	}
	c.pool.put(w)
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// Run keeps a wire to every process of Rails until ctx ends, so that those who
// come are spread over them, and those who are there find the one that holds
// their objects. It reports processes that are gone.
func (c *Client) Run(ctx context.Context, gone func(boot string)) error {
	dials := atStart
	for dials > 0 && c.explore() == nil {
		dials--
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		c.keepWarm()
		for _, boot := range c.pool.cut() {
			if !c.search(boot) {
				c.pool.giveUp(boot)
				gone(boot)
				dials = afterEnd
			}
		}
		if dials > 0 && c.explore() == nil {
			dials--
		}
	}
}

const (
	atStart  = 10              // new wires: which process takes one cannot be chosen
	afterEnd = 30              // the same, one a second, once a process has ended: another will take its place
	warmFor  = 8 * time.Second // how long the last wire to a process may be idle
)

// explore makes a new wire, which may lead to a process not known yet.
func (c *Client) explore() error {
	w, err := c.pool.dial()
	if err != nil {
		return err
	}
	return c.greet(w)
}

func (c *Client) greet(w *wire) error {
	_, err := c.over(w, time.Now().Add(c.options.Timeout), nil, "")
	return err
}

// keepWarm uses the wires that would be closed soon and alone lead to their
// process.
func (c *Client) keepWarm() {
	for _, w := range c.pool.cooling() {
		c.greet(w)
	}
}

// search makes wires until one leads to the process, or it must be gone.
func (c *Client) search(boot string) (found bool) {
	for range c.pool.searches() {
		if c.explore() != nil {
			return false
		}
		if c.pool.wires(boot) > 0 {
			return true
		}
	}
	return false
}

// Settings asks Rails what it is. Cable is missing unless the call goes over
// loopback, a Unix socket or TLS. It does not wait for its turn: that Rails has
// much to do does not mean that it does not answer.
func (c *Client) Settings(within time.Duration) (*Settings, error) {
	asked := time.Now()
	reply, err := c.make("", within, nil, "")
	c.observe(Trace{}, nil, reply, err, 0, time.Since(asked))
	if err != nil {
		return nil, err
	}
	if reply.Settings == nil {
		return nil, errors.New("Rails answered without its settings: use the same version of the gem and of catenary")
	}
	return reply.Settings, nil
}

// SetConcurrency changes how many calls may be in flight at most.
func (c *Client) SetConcurrency(n int) {
	n = max(n, 1)
	c.pool.setAtOnce(n)
	if c.governor != nil {
		n = c.governor.allow(n)
	}
	c.lanes.setLimit(n)
}

// govern changes how many calls may be in flight now, if it is time to. Ends
// are told many at once, and answers that nothing has run say nothing of how
// Rails is.
func (c *Client) govern(calls []Call, reply *Reply, err error, took time.Duration) {
	if c.governor == nil || len(calls) == 0 || calls[0].Do == Close {
		return
	}
	if o := outcome(reply, err); o != Answered && o != Raised && o != TimedOut {
		return
	}
	c.lanes.setLimit(c.governor.note(kind{calls[0].Do, len(calls[0].Request) > 0}, took, time.Now()))
}

// Limit tells how many calls may be in flight now.
func (c *Client) Limit() int { return c.lanes.limited() }

// Load tells how many calls are in flight and how many wait.
func (c *Client) Load() (inFlight, waiting int) { return c.lanes.load() }

// Close closes what is idle. It comes after the last call.
func (c *Client) Close() {
	c.lanes.close()
	c.pool.close()
}

func notSent(err error) error {
	if errors.Is(err, ErrNotSent) {
		return err
	}
	return fmt.Errorf("%w: %w", err, ErrNotSent)
}
