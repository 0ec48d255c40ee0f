package cable

import (
	"time"

	"github.com/catenary-cable/catenary/cable/admission/turbo"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
)

// catenary can verify the signed names of Turbo's streams itself. Rails never sees
// such a subscription: no command about it is a call, and no call mentions it.

const turboChannel = "Turbo::StreamsChannel"

// VerifyStreams has new subscriptions to Turbo's streams answered without Rails; with
// nil, by Rails. Existing ones stay as they are.
func (s *Server) VerifyStreams(v *turbo.Verifier) { s.verifier.Store(v) }

// answerTurbo answers a command about one of Turbo's streams. It returns false if Rails
// must see the command, also because Rails holds the subscription. c.mu is held.
func (c *Connection) answerTurbo(command protocol.Command, asked *replay) bool {
	if s := c.subscriptions.find(command.Identifier); s != nil {
		if s.verified {
			c.changeVerified(s, command.Kind)
		}
		return s.verified
	}
	verifier := c.server.verifier.Load()
	if verifier == nil {
		return false
	}
	signed, ok := turbo.SignedName(command.Identifier)
	if !ok {
		return false
	}
	if command.Kind != protocol.Subscribe {
		return true // Rails would only log that there is no such subscription
	}
	stream, ok := verifier.Verify(signed, time.Now())
	if !ok {
		c.server.badStreamNames.Add("bad signature or expired")
		c.server.channels.Of(turboChannel).Rejections.Add(1)
	}
	admitted := ok && c.admitSubscription(len(command.Identifier))
	if !admitted {
		c.socket.SendText(string(protocol.Reject(command.Identifier)))
		return true
	}
	s := c.findOrAddSubscription(command.Identifier)
	s.verified = true
	s.wanted = true
	s.setLive(true)
	s.countIn(c.server.channels.Of(turboChannel))
	s.follow(stream, nil)
	s.noteHistory(asked)
	s.confirmation = socket.Text(protocol.Confirm(s.identifier))
	s.sendConfirmation()
	return true
}

// changeVerified handles a further command about a verified subscription. Turbo's
// channel has no actions.
func (c *Connection) changeVerified(s *subscription, kind protocol.Kind) {
	switch kind {
	case protocol.Subscribe:
		c.server.count.repeated.Add(1)
	case protocol.Unsubscribe:
		s.setLive(false)
		s.leaveAll()
		c.subscriptions.remove(s)
	}
}

// A page that was away may have missed broadcasts. If the gem has stamped it, a subscription tells
// how old the page is, and Turbo can bring it up to date: docs/catch-up.md.

// youngPage is the age up to which a page is not refreshed when it subscribes.
const youngPage = 10 * time.Second

// loadInterval is the least time between two loads of one rendering, on this node.
const loadInterval = time.Minute

// refreshInterval is the time from one refresh to the next, of all pages: at most 20 page loads a
// second.
const refreshInterval = 50 * time.Millisecond

// refreshMessage has Turbo load the page again. Without a request-id Turbo always does.
const refreshMessage = `"\u003cturbo-stream action=\"refresh\"\u003e\u003c/turbo-stream\u003e"`

// Outcomes of catching up, for the metrics.
const (
	refreshed    = "refreshed"     // a page that subscribed on a new connection
	refreshedGap = "refreshed_gap" // a page that stayed connected while the source had a gap
	stampYoung   = "young"
	stampShared  = "shared" // too many connections have it
	pageLeft     = "left"   // the browser left the page, or the connection, before its turn
)

// catchUp is what the server needs to judge stamps.
type catchUp struct {
	stamps *turbo.Stamps
	clock  time.Duration // Rails' minus ours
}

// CatchUp has pages refreshed from now on. clock is how far Rails' clock is ahead of ours. With nil,
// none are.
func (s *Server) CatchUp(stamps *turbo.Stamps, clock time.Duration) {
	if stamps == nil {
		s.catchUp.Store(nil)
		return
	}
	s.catchUp.Store(&catchUp{stamps, clock})
}

// CatchUpAfterGap refreshes the pages whose connections stayed open while broadcasts were missed.
func (s *Server) CatchUpAfterGap() {
	if s.catchUp.Load() == nil {
		return
	}
	for _, c := range s.all() {
		c.mu.Lock()
		if c.rendering != nil && !c.closed {
			c.scheduleRefresh(c.rendering, refreshedGap, c.rendering.At.Add(youngPage))
		}
		c.mu.Unlock()
	}
}

// judgeStamp is called when a subscription is confirmed. The first stamp on a connection decides
// whether its page is refreshed: later ones are of pages that were visited with the connection open.
// c.mu is held.
func (c *Connection) judgeStamp(s *subscription) {
	catchUp := c.server.catchUp.Load()
	if catchUp == nil {
		return
	}
	stamp, problem := catchUp.stamps.Read(s.identifier)
	switch problem {
	case "":
	case turbo.NotTurbo:
		return
	case turbo.Invalid:
		c.server.catchUps.Add(problem)
		return
	default:
		c.server.catchUps.Count(problem)
		return
	}
	first := c.rendering == nil
	if !first && c.rendering.Nonce == stamp.Rendering {
		return
	}
	rendered := stamp.Time.Add(-catchUp.clock)
	c.server.renderings.Release(c.rendering)
	c.rendering = c.server.renderings.Hold(stamp.Rendering, rendered)
	switch {
	case !first:
	case time.Since(rendered) < youngPage:
		c.server.catchUps.Count(stampYoung)
	default:
		c.scheduleRefresh(c.rendering, refreshed, time.Time{})
	}
}

// refresh is a refresh that is due, now or later.
type refresh struct {
	rendering *turbo.Rendering
	outcome   string // refreshed or refreshedGap
	since     time.Time
	timer     *time.Timer
	paced     bool // it has waited for its turn among all pages
}

// scheduleRefresh refreshes the page at a given time or as soon as the page may be loaded after it.
// c.mu is held.
func (c *Connection) scheduleRefresh(r *turbo.Rendering, outcome string, earliest time.Time) {
	now := time.Now()
	if c.refresh != nil { // it comes late enough for both
		c.refresh.rendering, c.refresh.outcome, c.refresh.since = r, outcome, now
		return
	}
	c.server.count.refreshes.Add(1)
	c.refresh = &refresh{rendering: r, outcome: outcome, since: now}
	c.refresh.timer = time.AfterFunc(time.Until(earliest), c.refreshWhenDue)
}

// refreshWhenDue sends the refresh, or waits on until it may.
func (c *Connection) refreshWhenDue() {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.refresh
	if r == nil || c.closed {
		return
	}
	s := c.subscriptionOf(r)
	now := time.Now()
	wait := c.server.renderings.Wait(r.rendering, now)
	switch {
	case s == nil:
		c.endRefresh(pageLeft)
	case c.server.renderings.Shared(r.rendering):
		c.endRefresh(stampShared)
	case !r.paced && wait <= 0:
		r.paced = true
		r.timer.Reset(c.server.refreshPacer.delay(now, refreshInterval))
	default:
		wait = c.server.renderings.Load(r.rendering, now)
		if wait > 0 { // or another connection was first
			r.paced = false
			r.timer.Reset(wait)
			return
		}
		c.socket.Send(socket.Text(protocol.Message(s.identifier, []byte(refreshMessage))))
		c.endRefresh(r.outcome)
	}
}

// subscriptionOf returns a subscription through which the refresh reaches its page: one of the same
// rendering, or after a gap any with a stamp. It returns nil if the browser has left the page. c.mu
// is held.
func (c *Connection) subscriptionOf(r *refresh) *subscription {
	catchUp := c.server.catchUp.Load()
	if catchUp == nil || c.rendering.At.After(r.since) {
		return nil
	}
	for _, s := range c.subscriptions.all() {
		if !s.live || !s.confirmed || s.pendingStreams > 0 {
			continue
		}
		stamp, problem := catchUp.stamps.Read(s.identifier)
		if problem == "" && (r.outcome == refreshedGap || stamp.Rendering == r.rendering.Nonce) {
			return s
		}
	}
	return nil
}

// endRefresh counts what became of the refresh. c.mu is held.
func (c *Connection) endRefresh(outcome string) {
	c.refresh = nil
	c.server.count.refreshes.Add(-1)
	c.server.catchUps.Count(outcome)
}

// leaveRendering is called when the connection closes. c.mu is held.
func (c *Connection) leaveRendering() {
	if c.refresh != nil {
		c.refresh.timer.Stop()
		c.endRefresh(pageLeft)
	}
	c.server.renderings.Release(c.rendering)
	c.rendering = nil
}
