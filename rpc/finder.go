package rpc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Which process takes a connection nobody can choose: Puma's workers accept for
// themselves, balancers send where they like. So links are found by dialling:
// quickly while somebody is known or likely to be missing, and now and then for
// good, since processes come and go without a word.
const (
	quickPause = 10 * time.Millisecond
	slowPause  = 5 * time.Second

	// mostInVain is how many dials in a row may meet only known processes before
	// it is enough for now, if nobody is known to be missing.
	mostInVain = 8

	postPause  = 30 * time.Second // between dials while POST does as well
	withoutGem = 30 * time.Second // between dials of an app that does not know us
	probePause = 5 * time.Minute  // between looks whether POST does, while Rails does not restart

	turnWait = time.Second // for a dial by another address, which may hang
)

// finder opens links by one of the backend's addresses.
type finder struct {
	client  *Client
	address string
	running *sync.WaitGroup // of what it starts
	links   context.Context // of its links, which outlive it: an address that DNS no longer gives closes none

	vain    int           // the latest dials, that have met only known processes
	failing time.Duration // pause after the latest dial, which has failed
	probed  time.Time     // when it was last tried whether POST does
}

// Run keeps a link to every process of Rails until ctx ends. It tells handler
// what Rails does. Calls that wait when it returns, and those that come later,
// are not sent.
func (c *Client) Run(ctx context.Context, handler Handler) error {
	c.mu.Lock()
	c.handler = handler
	c.mu.Unlock()
	var running sync.WaitGroup
	defer c.stop()
	defer running.Wait()
	running.Go(func() { c.attend(ctx) })
	if c.options.Transport == Post {
		return nil
	}
	finders := map[string]context.CancelFunc{}
	for ctx.Err() == nil {
		addresses := c.target.addresses(ctx)
		for _, address := range addresses {
			if finders[address] == nil {
				finding, stop := context.WithCancel(ctx)
				finders[address] = stop
				running.Go(func() { (&finder{client: c, address: address, running: &running, links: ctx}).run(finding) })
			}
		}
		for address, stop := range finders {
			if !slices.Contains(addresses, address) {
				stop()
				delete(finders, address)
			}
		}
		sleep(ctx, slowPause)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// run dials until ctx ends.
func (f *finder) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := f.client.change()
		pause := f.look(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		case <-changed: // a process has come or gone: others may, too
			f.vain, f.failing = 0, 0
			sleep(ctx, quickPause)
		}
	}
}

// attend pings, and gives up what has waited too long.
func (c *Client) attend(ctx context.Context) {
	tick := time.NewTicker(stallAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			c.expire(now)
			c.mu.Lock()
			c.spread()
			links := append([]*link(nil), c.links...)
			c.mu.Unlock()
			for _, l := range links {
				l.ping(now, c.options.Timeout)
			}
		}
	}
}

// look dials once, and says when to dial again.
func (f *finder) look(ctx context.Context) time.Duration {
	c := f.client
	defer c.takeTurn(ctx)()
	known, missing := c.known()
	l, err := c.open(ctx, f.address, known)
	switch noLink := (*noLinkError)(nil); {
	case err == nil:
		f.failing, f.vain = 0, 0
		if !c.add(l) {
			l.conn.Close()
			break
		}
		c.log.Info("linked to a Rails process", l.describe()...)
		if c.listener != nil {
			c.listener.Came(l.process)
		}
		f.running.Go(func() { c.carry(f.links, l) })
		missing = l.hello.Count > len(known)+1 || l.hello.Count == 0
	case errors.Is(err, errKnown):
		f.failing = 0
		f.vain++
	case errors.As(err, &noLink):
		return c.fallBack(noLink)
	default:
		return f.failed(err)
	}
	if !missing && f.vain >= mostInVain {
		return slowPause
	}
	return min(quickPause<<min(f.vain/mostInVain, 10), time.Second)
}

// takeTurn waits until nobody dials by another address: two dials at once may
// reach the same process, which neither knows yet, and Rails keeps the later
// link. What it returns ends the turn.
func (c *Client) takeTurn(ctx context.Context) (end func()) {
	select {
	case c.dialling <- struct{}{}:
		return func() { <-c.dialling }
	case <-ctx.Done():
	case <-time.After(turnWait):
	}
	return func() {}
}

// carry uses a link until it ends.
func (c *Client) carry(ctx context.Context, l *link) {
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	reason := l.run()
	c.lost(l, reason, ctx.Err() != nil)
}

// known are the processes with a link, and whether others are known to be
// missing.
func (c *Client) known() (ids []string, missing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := 0
	for _, l := range c.links {
		ids = append(ids, l.process.ID)
		count = max(count, l.hello.Count)
	}
	return ids, len(ids) == 0 || len(ids) < count
}

// failed notes why there is no link.
func (f *finder) failed(err error) time.Duration {
	c := f.client
	c.mu.Lock()
	if len(c.links) == 0 {
		c.trouble = err
	}
	c.mu.Unlock()
	first, longest := 50*time.Millisecond, slowPause
	var answer *StatusError
	answered := errors.As(err, &answer)
	switch {
	case !answered: // Rails is starting, perhaps with the gem
		longest = time.Second
		f.probed = time.Time{}
	case answer.Status == http.StatusNotFound: // each dial is an error in Rails' log
		first, longest = time.Second, withoutGem
	}
	f.failing = min(max(2*f.failing, first), longest)
	if answered && c.options.Transport == Auto && time.Since(f.probed) > probePause {
		f.probed = time.Now()
		if reason := c.reasonToPost(err); reason != "" {
			return c.fallBack(&noLinkError{reason})
		}
	}
	return f.failing
}

// fallBack has calls go by POST from now on, unless there are links.
func (c *Client) fallBack(reason *noLinkError) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.links) > 0:
	case c.options.Transport == Link:
		c.trouble = reason
	case !c.posting:
		c.posting, c.postReason = true, reason.reason
		c.tellOfChange()
		c.log.Warn("calls go to Rails by POST: effects of threads and jobs after a command are lost, and broadcasts overtake what was transmitted before them",
			"reason", reason.reason)
		c.spread()
	}
	return postPause
}
