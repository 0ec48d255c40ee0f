package rpc

import (
	"context"
	"errors"
	"fmt"
)

// Probe is the outcome of one attempt to open links.
type Probe struct {
	Transport string // Link or Post: what calls would use
	Reason    string // why calls would go by POST
	Processes []ProbedProcess
}

// ProbedProcess is a process that opened a link.
type ProbedProcess struct {
	ID      string
	Index   int // of Puma's worker; -1: it has none
	Count   int // of Puma's workers; 0: not known
	Workers int // calls that it runs at once
}

// Probe opens a link through each of the backend's addresses once, and closes it again. It is for
// diagnosis, on a client that does not Run.
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
		found.Processes = append(found.Processes,
			ProbedProcess{l.process.ID, l.hello.index(), l.hello.Count, l.hello.Workers})
	}
	if len(found.Processes) > 0 {
		return found, nil
	}
	reason := c.reasonToPost(failure)
	if reason == "" {
		return Probe{}, failure
	}
	if c.options.Transport == Link {
		return Probe{}, fmt.Errorf("no link, but backend.transport is link: %s", reason)
	}
	return Probe{Transport: Post, Reason: reason}, nil
}

// reasonToPost returns why calls must go by POST after a failed attempt to open a link, or "" if they
// need not.
func (c *Client) reasonToPost(failure error) string {
	var noLink *noLinkError
	if errors.As(failure, &noLink) {
		return noLink.reason
	}
	if !errors.As(failure, new(*StatusError)) {
		return ""
	}
	_, err := c.post.settings(upgradeWait)
	if err != nil {
		return ""
	}
	return answersOnlyPost
}
