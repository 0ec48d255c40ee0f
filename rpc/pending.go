package rpc

import (
	"slices"
	"time"
)

// Pending is a call that has been asked for and has no answer yet.
type Pending struct {
	client *Client
	call   Call
	done   func(Answer)
	trace  Trace

	// guarded by the client's mu
	asked time.Time
	sent  time.Time // when its turn came; zero: it waits
	line  *line     // where it waits; nil: nowhere
	full  bool      // Fill is to be called, or was

	written bool // the link's writer has handed all of it to the kernel
}

// Withdraw takes back a call that has not been sent. It reports false if it was
// too late; then the answer comes.
func (p *Pending) Withdraw() bool {
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	if p.line == nil {
		return false
	}
	p.line.remove(p)
	p.client.waiting--
	return true
}

// line is where calls wait, in order of arrival.
type line []*Pending

func (l *line) append(p *Pending) {
	p.line = l
	*l = append(*l, p)
}

// take returns the call that has waited longest, or nil.
func (l *line) take() *Pending {
	if len(*l) == 0 {
		return nil
	}
	p := (*l)[0]
	(*l)[0] = nil
	*l = (*l)[1:]
	p.line = nil
	return p
}

func (l *line) remove(p *Pending) {
	if i := slices.Index(*l, p); i >= 0 {
		*l = slices.Delete(*l, i, i+1)
	}
	p.line = nil
}

// takeOut removes some of the calls, and returns them.
func (l *line) takeOut(which func(*Pending) bool) (out []*Pending) {
	*l = slices.DeleteFunc(*l, func(p *Pending) bool {
		if !which(p) {
			return false
		}
		p.line = nil
		out = append(out, p)
		return true
	})
	return out
}

// lines are calls by whom they are for, in the order of their urgency.
type lines struct {
	here    line // for connections that stand
	coming  line // that open one
	leaving line // that end one
}

func (l *lines) of(do string) *line {
	switch do {
	case Open:
		return &l.coming
	case Close:
		return &l.leaving
	}
	return &l.here
}

func (l *lines) all() []*line { return []*line{&l.here, &l.coming, &l.leaving} }

// Those who are here go first, then those who leave, then those who come: who
// reloads a page has left before he comes again, as natively. But now and then it
// is the turn of the others, so that nobody waits for a whole storm.
const (
	endTurn  = 4 // one turn in so many
	openTurn = 6
)
