package cable

import (
	"errors"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

// Some of a connection's objects cannot move to another process, above all the
// blocks of streams. If their Rails process is gone, the browser reconnects, as
// after a restart of Rails' own server, and its channels start again. An app that
// keeps more in a process than catenary can know, such as counters of a class, asks
// for that whenever a process is gone: see Restart.

// Restart is what happens to the browsers of a Rails process that is gone.
type Restart struct {
	// Reconnect has them reconnect, as without catenary. Nothing of them runs in
	// another process, not even their disconnect callbacks. Otherwise they stay,
	// and other processes rebuild their objects.
	Reconnect bool
	// Over is the longest time over which their reconnects are spread.
	Over time.Duration
}

// lossInterval is the time from one disconnect after lost state to the next. So the
// browsers of a dead process do not all reconnect at once, and the load stays bounded
// where state is lost again and again (because a proxy mixes up Rails' processes, say).
const lossInterval = 10 * time.Millisecond

// pacer spaces events.
type pacer struct {
	mu   sync.Mutex
	next time.Time
}

// delay returns how long from now the next event must wait. It leaves the interval after that one.
func (p *pacer) delay(now time.Time, interval time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next.Before(now) {
		p.next = now
	}
	delay := p.next.Sub(now)
	p.next = p.next.Add(interval)
	return delay
}

// callFailed disconnects a connection whose call failed: in turn, where many calls may
// fail at once.
func (c *Connection) callFailed(err error) {
	if errors.Is(err, errProcessGone) { // perhaps before reconnectBrowsersOf does
		c.disconnectInTurn(railsRestarted)
		return
	}
	c.log().Warn("disconnecting a browser whose call failed", "error", err)
	var failure *rpc.Error
	if errors.Is(err, errStateLost) || errors.As(err, &failure) && failure.Kind == rpc.Lost {
		c.disconnectInTurn("state_lost")
		return
	}
	c.disconnect("rails_failed", serverRestart)
}

// disconnectInTurn disconnects after the pacer's delay. Only the first call counts.
func (c *Connection) disconnectInTurn(reason string) {
	c.mu.Lock()
	first := !c.disconnecting
	c.disconnecting = true
	c.mu.Unlock()
	if first {
		time.AfterFunc(c.server.pacer.delay(time.Now(), lossInterval), func() { c.disconnect(reason, serverRestart) })
	}
}

// processGone disconnects the browsers whose streams have blocks in a process that is
// gone: a broadcast to them would fail. With Restart.Reconnect it disconnects all
// browsers of the process.
func (s *Server) processGone(process string) {
	if s.restart.Reconnect {
		go s.reconnectBrowsersOf(process)
		return
	}
	lost := 0
	for _, c := range s.all() {
		if c.hasBlocksIn(process) {
			c.disconnectInTurn("state_lost")
			lost++
		}
	}
	if lost > 0 {
		s.log.Warn("stream blocks were lost with a Rails process, their browsers reconnect",
			"process", process, "connections", lost)
	}
}

// hasBlocksIn reports whether a stream's block is in a process: its token is the
// process' id.
func (c *Connection) hasBlocksIn(process string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
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

// railsRestarted is the reason for disconnects under Restart.Reconnect.
const railsRestarted = "rails_restarted"

var errProcessGone = errors.New("the Rails process of the connection is gone, and backend.restart is reconnect")

// reconnectBrowsersOf has the browsers of a process that is gone reconnect, no faster
// than Rails opens connections. It first waits until Rails can be reached.
func (s *Server) reconnectBrowsersOf(process string) {
	reachable := s.backend.WaitForProcess(s.context)
	if !reachable || s.backend.Process(process) != nil { // it is back: only the link was lost
		return
	}
	var browsers []*Connection
	for _, c := range s.all() {
		if c.isHeldBy(process) {
			browsers = append(browsers, c)
		}
	}
	if len(browsers) == 0 {
		return
	}
	every := s.drainInterval(len(browsers), s.restart.Over)
	s.log.Info("Rails process is gone, its browsers reconnect",
		"process", process, "connections", len(browsers), "every", every)
	stagger(s.context, len(browsers), every, func(i int) {
		browsers[i].disconnect(railsRestarted, serverRestart)
	})
}

// isHeldBy reports whether a process holds the connection's objects.
func (c *Connection) isHeldBy(process string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.closed && c.process != nil && c.process.ID == process
}

// lostItsProcess reports whether the process that opened the connection is gone, and
// processGone may have missed the connection.
func (c *Connection) lostItsProcess() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.server.restart.Reconnect && c.process != nil && c.server.backend.Process(c.process.ID) == nil
}
