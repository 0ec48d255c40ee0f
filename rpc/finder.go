package rpc

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"
)

// catenary cannot choose which process accepts its connection: Puma's workers take connections as
// they like, and load balancers spread them. So finders dial until every process has a link: quickly
// while a process is known or likely to be missing, and every few seconds forever, since processes
// start unannounced.
const (
	quickPause = 10 * time.Millisecond
	slowPause  = 5 * time.Second

	// maxDuplicates is how many dials in a row may reach only processes with a link before the
	// finder slows down, if none is known to be missing.
	maxDuplicates = 8

	postPause      = 30 * time.Second // between dials while calls go by POST
	noGemPause     = 30 * time.Second // at most, between dials of an app without the gem
	postProbePause = 5 * time.Minute  // between attempts to use POST, unless Rails restarts

	turnWait = time.Second // for a dial through another address, which may hang
)

// finder opens links through one of the backend's addresses.
type finder struct {
	client  *Client
	address string
	running *sync.WaitGroup // of the links that it opens
	// links is the context of its links. They outlive the finder: an address that DNS no longer
	// returns closes none.
	links context.Context

	duplicates   int           // the latest dials in a row that reached only processes with a link
	failurePause time.Duration // after the latest dial, if it failed
	postProbedAt time.Time     // when it last tried whether the backend answers a POST
}

// find runs a finder for each address of the backend until ctx ends.
func (c *Client) find(ctx context.Context, running *sync.WaitGroup) {
	finders := map[string]context.CancelFunc{}
	for ctx.Err() == nil {
		addresses := c.target.addresses(ctx)
		for _, address := range addresses {
			if finders[address] == nil {
				finderCtx, stop := context.WithCancel(ctx)
				finders[address] = stop
				f := &finder{client: c, address: address, running: running, links: ctx}
				running.Go(func() { f.run(finderCtx) })
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
}

// run dials until ctx ends.
func (f *finder) run(ctx context.Context) {
	for ctx.Err() == nil {
		changed := f.client.nextLinksChange()
		pause := f.dial(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		case <-changed: // where one process starts or stops, others may too
			f.duplicates = 0
			f.failurePause = 0
			sleep(ctx, quickPause)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// dial tries once to open a link, and returns the pause before the next try.
func (f *finder) dial(ctx context.Context) time.Duration {
	c := f.client
	endTurn := c.takeTurn(ctx)
	defer endTurn()
	known, missing := c.knownProcesses()
	l, err := c.open(ctx, f.address, known)
	var noLink *noLinkError
	switch {
	case err == nil:
		f.failurePause = 0
		f.duplicates = 0
		added := c.addLink(l)
		if !added {
			l.conn.Close()
			break
		}
		c.log.Info("link opened", l.logAttrs()...)
		if c.listener != nil {
			c.listener.ProcessReady(l.process)
		}
		f.running.Go(func() { c.runLink(f.links, l) })
		missing = l.hello.Count > len(known)+1 || l.hello.Count == 0
	case errors.Is(err, errKnown):
		f.failurePause = 0
		f.duplicates++
	case errors.As(err, &noLink):
		return c.fallBackToPost(noLink)
	default:
		return f.failed(err)
	}
	if !missing && f.duplicates >= maxDuplicates {
		return slowPause
	}
	return min(quickPause<<min(f.duplicates/maxDuplicates, 10), time.Second)
}

// takeTurn waits until no other finder dials, for turnWait at most. Two dials at once may reach the
// same process through two addresses: neither names it as known, and the gem closes the earlier
// link. The caller calls endTurn after it has dialled.
func (c *Client) takeTurn(ctx context.Context) (endTurn func()) {
	select {
	case c.dialling <- struct{}{}:
		return func() { <-c.dialling }
	case <-ctx.Done():
	case <-time.After(turnWait):
	}
	return func() {}
}

// runLink uses a link until it closes or ctx ends.
func (c *Client) runLink(ctx context.Context, l *link) {
	stop := context.AfterFunc(ctx, func() { l.conn.Close() })
	defer stop()
	reason := l.run()
	c.removeLink(l, reason, ctx.Err() != nil)
}

// failed notes why a dial failed, and returns the pause before the next.
func (f *finder) failed(err error) time.Duration {
	c := f.client
	c.mu.Lock()
	if len(c.links) == 0 {
		c.unreachable = err
	}
	c.mu.Unlock()
	first, longest := 50*time.Millisecond, slowPause
	var status *StatusError
	answered := errors.As(err, &status)
	switch {
	case !answered: // Rails is starting, perhaps with the gem
		longest = time.Second
		f.postProbedAt = time.Time{}
	case status.Status == http.StatusNotFound: // each dial is an error in Rails' log
		first = time.Second
		longest = noGemPause
	}
	f.failurePause = min(max(2*f.failurePause, first), longest)
	if answered && c.options.Transport == Auto && time.Since(f.postProbedAt) > postProbePause {
		f.postProbedAt = time.Now()
		reason := c.reasonToPost(err)
		if reason != "" {
			return c.fallBackToPost(&noLinkError{reason})
		}
	}
	return f.failurePause
}

// fallBackToPost sends calls by POST from now on, unless there is a link or Transport is Link. It
// returns the pause before the next dial.
func (c *Client) fallBackToPost(noLink *noLinkError) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.links) > 0:
	case c.options.Transport == Link:
		c.unreachable = noLink
	case !c.posting:
		c.posting = true
		c.postReason = noLink.reason
		c.signalLinksChange()
		c.log.Warn("no link available, sending calls to Rails by POST: effects after a call are lost, "+
			"and broadcasts overtake what the same command transmitted", "reason", noLink.reason)
		c.pumpAll()
	}
	return postPause
}
