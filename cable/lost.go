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
// been restarted, and its channels begin again. An application that keeps more in
// a process than we can know, counters of a class, say, asks for that whenever a
// process goes: see Restart.

// Restart is what becomes of the browsers whose objects were in a Rails process
// that is gone.
type Restart struct {
	// Reconnect has them come back, as natively. Nothing of them runs in another
	// process, their callbacks neither: it has never seen them. Otherwise they
	// stay, and other processes go on with them.
	Reconnect bool
	// Over is the longest time over which they are told.
	Over time.Duration
}

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
	if errors.Is(err, errRestarted) { // who acts does not wait for its turn
		c.lose(railsRestarted)
		return
	}
	c.log().Warn("connection given up", "error", err)
	if failure := new(rpc.Error); errors.Is(err, errLost) || errors.As(err, &failure) && failure.Kind == rpc.Lost {
		c.lose("lost")
		return
	}
	c.end("rails_failed", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
}

// lose ends a connection when it is its turn.
func (c *Connection) lose(why string) {
	c.mu.Lock()
	first := !c.lost
	c.lost = true
	c.mu.Unlock()
	if first {
		time.AfterFunc(c.server.pace.wait(time.Now()), func() {
			c.end(why, &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
		})
	}
}

// processGone loses the connections whose blocks were in a Rails process that
// is gone, before a broadcast looks for them in vain; or all that it held.
func (s *Server) processGone(process string) {
	if s.restart.Reconnect {
		go s.sendBack(process)
		return
	}
	lost := 0
	for _, c := range s.all() {
		if c.hasBlocksIn(process) {
			c.lose("lost")
			lost++
		}
	}
	if lost > 0 {
		s.log.Warn("a Rails process has ended that held blocks of streams", "process", process, "connections", lost)
	}
}

// railsRestarted is why a connection ends that a Rails process took with it.
const railsRestarted = "rails_restarted"

var errRestarted = errors.New("the Rails process that had the connection is gone, and backend.restart is reconnect")

// sendBack tells the browsers of a Rails process that is gone to come back, as
// soon as there is one that they can come back to, and no faster than it can
// open them.
func (s *Server) sendBack(process string) {
	if !s.backend.WaitForProcess(s.context) || s.backend.Process(process) != nil { // only its link was cut
		return
	}
	var gone []*Connection
	for _, c := range s.all() {
		if c.isAt(process) {
			gone = append(gone, c)
		}
	}
	if len(gone) == 0 {
		return
	}
	every := s.drainEvery(len(gone), s.restart.Over)
	s.log.Info("a Rails process has ended, its browsers are told to come back", "process", process, "connections", len(gone), "every", every)
	spread(s.context, len(gone), every, func(i int) {
		gone[i].end(railsRestarted, &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	})
}

// isAt reports whether that process holds the connection's objects.
func (c *Connection) isAt(process string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && c.home != nil && c.home.ID == process
}

// openedTooLate reports that the process has ended that opened the connection,
// before the server knew of it.
func (c *Connection) openedTooLate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server.restart.Reconnect && c.home != nil && c.server.backend.Process(c.home.ID) == nil
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
