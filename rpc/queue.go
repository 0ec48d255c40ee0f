package rpc

import "slices"

// queue holds calls that wait to be sent, in order of arrival.
type queue []*Pending

func (q *queue) push(p *Pending) {
	p.queue = q
	*q = append(*q, p)
}

// pop removes and returns the call that has waited longest; nil if there is none.
func (q *queue) pop() *Pending {
	if len(*q) == 0 {
		return nil
	}
	p := (*q)[0]
	(*q)[0] = nil
	*q = (*q)[1:]
	p.queue = nil
	return p
}

// popFirst pops from the first queue that is not empty.
func popFirst(queues ...*queue) *Pending {
	for _, q := range queues {
		p := q.pop()
		if p != nil {
			return p
		}
	}
	return nil
}

func (q *queue) remove(p *Pending) {
	i := slices.Index(*q, p)
	if i >= 0 {
		*q = slices.Delete(*q, i, i+1)
	}
	p.queue = nil
}

// removeIf removes and returns the calls that match.
func (q *queue) removeIf(match func(*Pending) bool) (removed []*Pending) {
	*q = slices.DeleteFunc(*q, func(p *Pending) bool {
		if !match(p) {
			return false
		}
		p.queue = nil
		removed = append(removed, p)
		return true
	})
	return removed
}

// queues are the calls that wait for one process, or for any. Calls of established connections go
// first, then closes, then opens: when a page is reloaded, the old connection closes before the new
// one opens, as natively.
type queues struct {
	established queue // commands, timers, heartbeats and broadcasts of connections that are open
	opens       queue
	closes      queue
}

// Every closeTurn-th turn goes to a close first and every openTurn-th to an open, so that neither
// waits for a whole storm of commands.
const (
	closeTurn = 4
	openTurn  = 6
)

// of returns the queue of calls that do this.
func (q *queues) of(do string) *queue {
	switch do {
	case Open:
		return &q.opens
	case Close:
		return &q.closes
	}
	return &q.established
}

func (q *queues) all() []*queue { return []*queue{&q.established, &q.opens, &q.closes} }
