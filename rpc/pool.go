package rpc

import (
	"fmt"
	"sync"
	"time"
)

// Puma closes a connection that was idle for 20 seconds (persistent_timeout).
// We are earlier, so that a call is not written into a closing socket.
const idleFor = 15 * time.Second

// pool keeps idle wires by the process that they lead to.
type pool struct {
	dialer

	mu       sync.Mutex
	atOnce   int                // calls that may be in flight
	idle     map[string][]*wire // by boot, the last used at the end
	count    map[string]int     // of wires by boot, those in use too
	ended    map[string]bool    // processes to which the last wire has ended
	gone     map[string]bool    // processes that have been searched for in vain
	returned chan struct{}      // made by who waits, closed when a wire is given back or discarded
	closed   bool
}

// few wires to a process are never enough.
const few = 3

// enough wires to a process are there if so many are, its share of all calls: one
// more that finds them in use waits for one of them rather than try its luck with a
// new one. p.mu is held.
func (p *pool) enough() int {
	processes := max(len(p.count), 1)
	return max(few, (p.atOnce+processes-1)/processes)
}

// searches is how many wires are tried in order to reach a process to which
// there is none: Puma's processes take new ones as they like, so the more there are,
// the more it takes.
func (p *pool) searches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(12, 6*(len(p.count)+1))
}

// setAtOnce says how many calls may be in flight.
func (p *pool) setAtOnce(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.atOnce = n
}

// goneLimit is how many processes are remembered as gone.
const goneLimit = 100

// newPool makes none yet.
func newPool(backend string) (*pool, error) {
	d, err := newDialer(backend)
	if err != nil {
		return nil, err
	}
	return &pool{dialer: d, idle: map[string][]*wire{}, count: map[string]int{}, ended: map[string]bool{}, gone: map[string]bool{}}, nil
}

// get returns a wire to the process boot if one is idle. If that process must
// be reached, it makes a new one else, which may lead there, or waits for one
// that is in use; if not, any other will do.
func (p *pool) get(boot string, reach, wait bool, deadline time.Time) (*wire, error) {
	for {
		w, returned := p.take(boot, reach, wait)
		switch {
		case w == nil && returned == nil:
			return p.dial()
		case w == nil:
			select {
			case <-returned:
			case <-time.After(time.Until(deadline)):
				return nil, fmt.Errorf("Rails has answered nobody in time: %w", ErrNotSent)
			}
		case w.alive():
			return w, nil
		default:
			p.discard(w)
		}
	}
}

// take returns an idle wire, or nil: then a new one is to be made, or, if there
// is a channel, one to be awaited.
func (p *pool) take(boot string, reach, wait bool) (*wire, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle[boot]) == 0 && (!reach || p.gone[boot]) {
		for boot = range p.idle {
			break
		}
	}
	wires := p.idle[boot]
	if len(wires) == 0 {
		if n := p.count[boot]; reach && (n >= p.enough() || wait && n > 0) {
			if p.returned == nil {
				p.returned = make(chan struct{})
			}
			return nil, p.returned
		}
		return nil, nil
	}
	w := wires[len(wires)-1]
	p.keep(boot, wires[:len(wires)-1])
	return w, nil
}

// learn notes where a wire leads.
func (p *pool) learn(w *wire, boot string) {
	if w.boot == boot {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.uncount(w)
	w.boot = boot
	p.count[boot]++
	delete(p.gone, boot)
}

// discard closes a wire that has been taken.
func (p *pool) discard(w *wire) {
	p.mu.Lock()
	p.uncount(w)
	p.wake()
	p.mu.Unlock()
	w.Close()
}

func (p *pool) uncount(w *wire) {
	if p.count[w.boot]--; p.count[w.boot] <= 0 {
		delete(p.count, w.boot)
		if w.boot != "" && len(p.ended) < goneLimit {
			p.ended[w.boot] = true
		}
	}
}

// wake tells those who wait for a wire that something has changed.
func (p *pool) wake() {
	if p.returned != nil {
		close(p.returned)
		p.returned = nil
	}
}

// giveUp notes that a process cannot be reached, unless there are wires to it
// which are only in use.
func (p *pool) giveUp(boot string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count[boot] > 0 {
		return
	}
	if len(p.gone) >= goneLimit {
		clear(p.gone)
	}
	p.gone[boot] = true
}

func (p *pool) isGone(boot string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.gone[boot]
}

// wires tells how many lead to a process.
func (p *pool) wires(boot string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[boot]
}

// cooling closes the idle wires that cannot be used any more, and takes, of
// every process, the one used last if that was long ago.
func (p *pool) cooling() (taken []*wire) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for boot, wires := range p.idle {
		usable := wires[:0]
		for _, w := range wires {
			if w.alive() {
				usable = append(usable, w)
			} else {
				p.uncount(w)
				w.Close()
			}
		}
		if last := len(usable) - 1; last >= 0 && time.Since(usable[last].idle) > warmFor {
			taken = append(taken, usable[last])
			usable = usable[:last]
		}
		p.keep(boot, usable)
	}
	return taken
}

// cut returns the processes to which there were wires and are none.
func (p *pool) cut() (boots []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for boot := range p.ended {
		if p.count[boot] == 0 {
			boots = append(boots, boot)
		}
	}
	clear(p.ended)
	return boots
}

func (p *pool) keep(boot string, wires []*wire) {
	if len(wires) == 0 {
		delete(p.idle, boot)
	} else {
		p.idle[boot] = wires
	}
}

// put gives a wire back, and closes those that have been idle too long.
func (p *pool) put(w *wire) {
	w.idle = time.Now()
	p.mu.Lock()
	if w.closing || p.closed {
		p.mu.Unlock()
		p.discard(w)
		return
	}
	p.idle[w.boot] = append(p.idle[w.boot], w)
	p.wake()
	var stale []*wire
	for boot, wires := range p.idle {
		old := 0
		for old < len(wires) && time.Since(wires[old].idle) > idleFor {
			old++
		}
		stale = append(stale, wires[:old]...)
		p.keep(boot, wires[old:])
	}
	p.mu.Unlock()
	for _, w := range stale {
		p.discard(w)
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, wires := range p.idle {
		for _, w := range wires {
			w.Close()
		}
	}
	p.idle = map[string][]*wire{}
}
