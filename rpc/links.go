package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The set of links: a finder adds a link, a going frame changes its phase, its close removes it.

// addLink starts to use a link. It reports false if there is one to the same process, or the client
// is closed. If there is a listener, the process gets no calls before Start.
func (c *Client) addLink(l *link) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	hasLink := func(other *link) bool { return other.process.ID == l.process.ID }
	if c.closed || slices.ContainsFunc(c.links, hasLink) {
		return false
	}
	c.links = append(c.links, l)
	if c.listener == nil {
		l.begin()
	}
	c.linksOpened++
	c.posting = false
	c.unreachable = nil
	c.settings = l.hello.Settings
	c.pumpAll()
	c.signalLinksChange()
	return true
}

// Start has calls sent to a new process. Until then it gets none: their broadcasts would be missed if
// nothing listened yet.
func (c *Client) Start(p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.link != nil && p.link.phase == starting {
		p.link.begin()
		c.pumpAll()
	}
}

// begin lets the link carry calls. The client's mu is held.
func (l *link) begin() {
	l.phase = running
	l.hasRun = true
}

// processStopping acts on a going frame: the process is about to stop, has handed over, or stays.
func (c *Client) processStopping(l *link, going string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch going {
	case "began":
		l.phase = stopping
		l.enqueueFrame(`{"heard":"going"}`)
	case "handed":
		l.phase = handedOver
		c.requeue(l)
		c.pumpAll()
	case "revoked":
		l.phase = starting // until Start: the listener hears that the process is ready
		if l.hasRun {
			l.phase = running
		}
		c.pump(l)
	default:
		return fmt.Errorf("unknown going %q: is the gem newer than catenary?", going)
	}
	c.signalLinksChange()
	return nil
}

// removeLink forgets a link that has closed, for a reason (nil: Rails sent bye) or because Run's
// context ended (byUs). Calls that have not run move to other processes; those that may have run
// fail.
func (c *Client) removeLink(l *link, reason error, byUs bool) {
	c.mu.Lock()
	reason = cmp.Or(l.abortReason, reason)
	switch {
	case c.closed || byUs:
	case reason != nil:
		c.log.Warn("lost link to Rails process", "process", l.process.ID, "error", reason)
	default:
		c.log.Info("Rails process stopped", "process", l.process.ID)
	}
	c.links = slices.DeleteFunc(c.links, func(other *link) bool { return other == l })
	l.process.link = nil
	if len(c.links) == 0 {
		cause := cmp.Or(reason, errors.New("the process stopped"))
		c.unreachable = fmt.Errorf("last link to Rails closed: %w", cause)
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
		p.sentAt = time.Time{}
		c.queued++
		c.queues.of(p.call.Do).push(p)
	}
	c.requeue(l)
	c.pumpAll()
	for _, p := range mayHaveRun {
		c.observe(p, nil, ErrGone, now)
	}
	c.signalLinksChange()
	c.mu.Unlock()
	for _, p := range mayHaveRun {
		p.finish(Answer{Err: ErrGone})
	}
	if c.listener != nil {
		c.listener.ProcessGone(l.process)
	}
	c.handler.Gone(l.process)
}

// signalLinksChange wakes the finders and WaitForProcess. c.mu is held.
func (c *Client) signalLinksChange() {
	close(c.linksChange)
	c.linksChange = make(chan struct{})
}

// nextLinksChange returns a channel that is closed at the next change of the links.
func (c *Client) nextLinksChange() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.linksChange
}

// knownProcesses returns the processes with a link, and whether some process is known to lack one.
func (c *Client) knownProcesses() (ids []string, missing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := 0
	for _, l := range c.links {
		ids = append(ids, l.process.ID)
		count = max(count, l.hello.Count)
	}
	return ids, len(ids) == 0 || len(ids) < count
}

// WaitForProcess waits until there is a link to a process that is not stopping, or calls go by POST.
// It returns false if ctx ends before.
func (c *Client) WaitForProcess(ctx context.Context) bool {
	for {
		c.mu.Lock()
		ready := c.posting || slices.ContainsFunc(c.links, func(l *link) bool { return !l.stopping() })
		changed := c.linksChange
		c.mu.Unlock()
		if ready {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}
