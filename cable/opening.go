package cable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// ServeHTTP opens a connection. Rails is asked before the 101, so that what
// its middleware answers can be the handshake's answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.admission.CheckRequest(w, r, s.relay.TakesAll()) {
		return
	}
	address := s.admission.Address(r)
	if err := s.admit(address); err != nil {
		var over *admission.OverLimit
		if errors.As(err, &over) {
			s.admission.RejectOverLimit(w, over)
			return
		}
		s.admission.Rejected.Count("stopping")
		admission.Unavailable(w)
		return
	}
	c := s.newConnection(r)
	c.address = address
	if !s.identify(c, w, r) {
		return
	}
	began := time.Now()
	settled := func(outcome string) {
		if c.identities == nil { // else Rails is not asked
			s.settled(outcome, time.Since(began))
		}
	}
	opened, err := c.open(r.Context())
	switch {
	case err == errAbandoned:
		s.admission.Rejected.Add("rails_unavailable", "error", err)
		admission.Unavailable(w)
		settled("unavailable")
		return
	case err != nil:
		s.settleOpening(c, false)
		s.admission.Rejected.Add(unavailability(err), "error", err)
		admission.Unavailable(w)
		settled("unavailable")
		return
	case !opened.Opened():
		s.settleOpening(c, false)
		s.admission.RefusedByRails(r, opened.Status, location(opened), opened.Body)
		answer(w, opened)
		settled("refused")
		return
	}
	if stopping := s.settleOpening(c, true); stopping {
		c.socket.Close()
		c.end("server_restart", nil)
		s.admission.Rejected.Count("stopping")
		admission.Unavailable(w)
		settled("unavailable")
		return
	}
	err = c.upgrade(w, r)
	if err != nil {
		c.end("browser_lost", nil)
		settled("lost")
		return
	}
	s.count.opened.Add(1)
	settled("opened")
	c.start(opened)
	if c.openedTooLate() {
		c.lose(railsRestarted)
	}
}

func (s *Server) newConnection(r *http.Request) *Connection {
	c := &Connection{
		server:   s,
		id:       s.node + ":" + strconv.FormatInt(s.serial.Add(1), 36),
		request:  describe(r).Encode(),
		protocol: protocol.Negotiate(r.Header.Values("Sec-WebSocket-Protocol")),
	}
	c.socket.Init(s.sockets, c)
	if s.relay.TakesAll() {
		c.upstream = c.newUpstream()
	}
	return c
}

// upgrade answers the handshake with the 101.
func (c *Connection) upgrade(w http.ResponseWriter, r *http.Request) error {
	return c.socket.Upgrade(w, r, c.protocol)
}

// open asks Rails whether the connection may be, by running its connect.
func (c *Connection) open(ctx context.Context) (*rpc.Result, error) {
	if c.upstream != nil {
		protocol, opened, err := c.upstream.Open(ctx)
		if err == nil && opened.Opened() {
			c.protocol, c.request = protocol, nil
		}
		return opened, err
	}
	if c.identities != nil {
		return c.assumed(), nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.server.limits.OpenWait, errUnreachable)
	defer cancel()
	c.server.admission.Asking()
	defer c.server.admission.Answered()
	opened, err := c.ask(ctx)
	if err == errAbandoned {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("asking Rails to open a connection: %w", err)
	}
	c.name = opened.ID
	return opened, nil
}

// errAbandoned says that Rails still opens a connection for which nobody waits
// any more: once it has, it is told of its end.
var errAbandoned = errors.New("Rails has not opened the connection in time (backend.open_timeout), or its browser has gone meanwhile")

func (c *Connection) ask(ctx context.Context) (*rpc.Result, error) {
	s := c.server
	s.mu.Lock()
	s.handshakes[c.id] = c
	s.mu.Unlock()
	c.calling = true // nobody else has the connection yet
	answers := make(chan rpc.Answer, 1)
	pending, err := s.backend.Do(rpc.Call{
		Connection: c.id, Do: rpc.Open, Request: c.request, Protocol: c.protocol, Context: ctx,
	}, func(a rpc.Answer) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.abandoned {
			c.openedInVain(a)
			return
		}
		if a.Err == nil && a.Result.Error == nil {
			c.noteObjects(a.Process, a.Result)
		}
		if a.Err == nil { // what has come before belongs before, and what comes later after
			a.Result.Ops, c.backlog = append(c.backlog, a.Result.Ops...), nil
		}
		answers <- a
	})
	if err != nil {
		c.calling = false
		return nil, err
	}
	var a rpc.Answer
	select {
	case a = <-answers:
	case <-ctx.Done():
		if pending.Withdraw() {
			return nil, s.backend.NotSentError(context.Cause(ctx))
		}
		c.mu.Lock()
		select {
		case a = <-answers:
		default:
			c.abandoned = true
		}
		c.mu.Unlock()
		if c.abandoned {
			c.abandon()
			return nil, errAbandoned
		}
	}
	if a.Err == nil && a.Result.Error != nil {
		a.Err = a.Result.Error
	}
	if a.Err != nil {
		return nil, a.Err
	}
	c.mu.Lock()
	c.calling = false
	c.mu.Unlock()
	return a.Result, nil
}

// abandon gives up a connection that Rails is still opening: it counts until Rails
// knows of its end.
func (c *Connection) abandon() {
	c.server.settleOpening(c, true)
	c.socket.Close()
	c.end("open_timeout", nil)
}

// openedInVain has Rails close what it has opened too late. c.mu is held.
func (c *Connection) openedInVain(a rpc.Answer) {
	if a.Err == nil && a.Result.Opened() {
		c.noteObjects(a.Process, a.Result)
	}
	c.calling = false
	c.callNext()
}

// unavailability is why Rails could not be asked about a handshake.
func unavailability(err error) string {
	if errors.Is(err, rpc.ErrBusy) {
		return "rails_busy"
	}
	return "rails_unavailable"
}
