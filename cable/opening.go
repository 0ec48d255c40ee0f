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
	if !s.admission.CheckRequest(w, r) {
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
	case err != nil:
		s.settleOpening(c, false)
		s.admission.Rejected.Add(unavailability(err), "error", err)
		admission.Unavailable(w)
		settled("unavailable")
		return
	case opened.Status != http.StatusOK:
		s.settleOpening(c, false)
		s.count.refused.Add(1)
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
}

func (s *Server) newConnection(r *http.Request) *Connection {
	c := &Connection{
		server:   s,
		id:       s.node + ":" + strconv.FormatInt(s.serial.Add(1), 36),
		request:  describe(r, s.relay.Path(r, s.mount)).Encode(),
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
	header := http.Header{}
	if c.protocol != "" {
		header.Set("Sec-Websocket-Protocol", c.protocol)
	}
	return c.socket.Upgrade(w, r, header)
}

// open asks Rails whether the connection may be, by running its connect.
func (c *Connection) open(ctx context.Context) (*rpc.Result, error) {
	if c.upstream != nil {
		protocol, opened, err := c.upstream.Open(ctx)
		if err == nil && opened.Status == http.StatusOK {
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
	opened, err := c.ask(ctx, rpc.Call{
		Connection: c.id, Do: rpc.Open, Want: rpc.State, Request: c.request, Protocol: c.protocol,
	})
	if err == nil && opened.Error != nil {
		err = opened.Error
	}
	if err != nil {
		return nil, fmt.Errorf("asking Rails to open a connection: %w", err)
	}
	c.name, c.tags = opened.ID, opened.Tags
	return opened, nil
}

// unavailability is why Rails could not be asked about a handshake.
func unavailability(err error) string {
	if errors.Is(err, rpc.ErrBusy) {
		return "rails_busy"
	}
	return "rails_unavailable"
}
