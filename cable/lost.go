package cable

import (
	"errors"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// What only a Rails process had is lost with it: the blocks of streams above
// all. Then the browser is told to reconnect, as if its own Action Cable had
// been restarted, and its channels begin again.

// lostEvery spreads these ends: those of a process that has died do not come
// back all at once, and where the objects are lost again and again (a proxy
// before Rails that mixes up its processes, say) it costs no more than this.
const lostEvery = 10 * time.Millisecond

// pace tells when the next one may go, so that they go one after the other.
type pace struct {
	mu   sync.Mutex
	next time.Time
}

func (p *pace) wait(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Before(now) {
		p.next = now
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(lostEvery)
	return wait
}

// failed ends a connection whose call could not be run.
func (c *Connection) failed(err error) {
	c.log().Warn("connection given up", "error", err)
	if failure := new(rpc.Error); errors.Is(err, errLost) || errors.As(err, &failure) && failure.Kind == rpc.Lost {
		c.lose()
		return
	}
	c.end("rails_failed", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
}

// lose ends a connection when it is its turn.
func (c *Connection) lose() {
	c.mu.Lock()
	first := !c.lost
	c.lost = true
	c.mu.Unlock()
	if first {
		time.AfterFunc(c.server.pace.wait(time.Now()), func() {
			c.end("lost", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
		})
	}
}

// processGone loses the connections whose blocks were in a Rails process that
// is gone, before a broadcast looks for them in vain.
func (s *Server) processGone(process string) {
	s.mu.Lock()
	open := make([]*Connection, 0, len(s.connections))
	for _, c := range s.connections {
		open = append(open, c)
	}
	s.mu.Unlock()
	lost := 0
	for _, c := range open {
		if c.hasBlocksIn(process) {
			c.lose()
			lost++
		}
	}
	if lost > 0 {
		s.log.Warn("a Rails process has ended that held blocks of streams", "process", process, "connections", lost)
	}
}

// hasBlocksIn reports whether a stream has a block in that process, which is what
// a token names.
func (c *Connection) hasBlocksIn(process string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	for _, s := range c.subscriptions.all() {
		for _, m := range s.streams {
			if m.Token != nil && *m.Token == process {
				return true
			}
		}
	}
	return false
}
