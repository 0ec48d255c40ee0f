package rpc

import (
	"context"
	"errors"
	"fmt"
)

// Probe is what one attempt to open a link has found.
type Probe struct {
	Transport string // Link or Post: what calls will go over
	Reason    string // why they will go by POST
	Processes []ProbedProcess
}

// ProbedProcess is a process that has opened a link.
type ProbedProcess struct {
	ID      string
	Index   int // of Puma's worker; -1: it has none
	Count   int // of Puma's workers; 0: not known
	Workers int // calls that it runs at once
}

// Probe tries once to open a link by each of the backend's addresses, and closes
// it again. It is for those who look, instead of Run.
func (c *Client) Probe(ctx context.Context) (Probe, error) {
	if c.options.Transport == Post {
		return Probe{Transport: Post, Reason: "backend.transport is post"}, nil
	}
	found := Probe{Transport: Link}
	var failure error
	for _, address := range c.target.addresses(ctx) {
		l, err := c.open(ctx, address, nil)
		if err != nil {
			failure = errors.Join(failure, err)
			continue
		}
		l.conn.Close()
		found.Processes = append(found.Processes, ProbedProcess{l.process.ID, l.hello.index(), l.hello.Count, l.hello.Workers})
	}
	if len(found.Processes) > 0 {
		return found, nil
	}
	reason := c.reasonToPost(failure)
	if reason == "" {
		return Probe{}, failure
	}
	if c.options.Transport == Link {
		return Probe{}, fmt.Errorf("there is no link, and backend.transport is link: %s", reason)
	}
	return Probe{Transport: Post, Reason: reason}, nil
}

// reasonToPost says why calls go by POST if an attempt to open a link has failed
// so; "": they do not.
func (c *Client) reasonToPost(err error) string {
	var noLink *noLinkError
	switch {
	case errors.As(err, &noLink):
		return noLink.reason
	case errors.As(err, new(*StatusError)) && c.post.answers():
		return answersOnlyPost
	}
	return ""
}

// PostReason is why calls go by POST though links were wanted, or "".
func (c *Client) PostReason() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.posting || len(c.links) > 0 {
		return ""
	}
	return c.postReason
}

// Transport is Link or Post, whichever carries calls now; "" while neither does.
func (c *Client) Transport() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.links) > 0:
		return Link
	case c.posting:
		return Post
	}
	return ""
}
