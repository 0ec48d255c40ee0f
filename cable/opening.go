package cable

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// ServeHTTP opens a connection. Rails is asked before the 101, so that what
// its middleware answers can be the handshake's answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !upgradable(r) {
		s.turnedAway.note("no_upgrade")
		pageNotFound(w)
		return
	}
	if refuseMalformed(w, r) {
		s.turnedAway.note("malformed")
		return
	}
	if !s.edge.Origins.allow(r) {
		s.turnedAway.add("origin")
		pageNotFound(w)
		return
	}
	address := s.edge.Proxies.client(r)
	if err := s.admit(address); err != nil {
		if over := (*overLimit)(nil); errors.As(err, &over) {
			s.tooMany(w, over)
			return
		}
		s.turnedAway.note("stopping")
		s.unavailable(w)
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
		s.turnedAway.add(unavailability(err), "error", err)
		s.unavailable(w)
		settled("unavailable")
		return
	case opened.Status != http.StatusOK:
		s.settleOpening(c, false)
		s.count.refused.Add(1)
		relay(w, opened)
		settled("refused")
		return
	}
	if stopping := s.settleOpening(c, true); stopping {
		c.socket.Close()
		c.end("server_restart", nil)
		s.turnedAway.note("stopping")
		s.unavailable(w)
		settled("unavailable")
		return
	}
	ws, err := c.upgrade(w, r)
	if err != nil {
		c.end("browser_lost", nil)
		settled("lost")
		return
	}
	s.count.opened.Add(1)
	settled("opened")
	c.start(ws, opened)
}

// Knock is told of every TCP connection, before anything is read of it. It
// reports false if its address has too many already that are no WebSocket: then
// it is to be closed.
func (s *Server) Knock(remote net.Addr) bool {
	if s.gate.knock(s.edge.Proxies.peer(remote)) {
		return true
	}
	s.turnedAway.add("connections_per_address")
	return false
}

// Settled is told when one of these has become a WebSocket, or has ended.
func (s *Server) Settled(remote net.Addr) { s.gate.settle(s.edge.Proxies.peer(remote)) }

// Incomplete notes a request that has not come as a whole: its head was too
// long, too slow, or none.
func (s *Server) Incomplete() { s.turnedAway.add("incomplete") }

func (s *Server) newConnection(r *http.Request) *Connection {
	c := &Connection{
		server:   s,
		id:       s.node + ":" + strconv.FormatInt(s.serial.Add(1), 36),
		request:  describe(r, s.passThrough.path(r, s.mount)).Encode(),
		protocol: protocol.Negotiate(r.Header.Values("Sec-WebSocket-Protocol")),
		phase:    -1,
	}
	c.socket = socket{fd: -1, corked: true, limit: s.limits.PendingBytes, owner: c}
	c.reader = reader{socket: &c.socket, owner: c}
	if s.passThrough.all() {
		c.upstream = newUpstream(c, true)
	}
	return c
}

// upgrade answers the handshake with the 101.
func (c *Connection) upgrade(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	header := http.Header{}
	if c.protocol != "" {
		header.Set("Sec-Websocket-Protocol", c.protocol)
	}
	upgrader := &plain
	if c.socket.deflates = c.server.edge.Compress && deflates(r); c.socket.deflates {
		upgrader = &compressing
	}
	ws, err := upgrader.Upgrade(&hijacked{w, &c.socket, &c.reader.buffer, c.server.limits.Unanswered}, r, header)
	if err != nil {
		c.socket.Close()
		return nil, err
	}
	c.reader.ws, c.reader.fd = ws, c.socket.fd
	return ws, nil
}

// open asks Rails whether the connection may be, by running its connect.
func (c *Connection) open(ctx context.Context) (*rpc.Result, error) {
	if c.upstream != nil {
		return c.upstream.open(ctx)
	}
	if c.identities != nil {
		return c.assumed(), nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.server.limits.OpenWait, errors.New("Rails could not be reached in time"))
	defer cancel()
	c.server.beginAsking()
	defer c.server.endAsking()
	opened, err := c.ask(ctx, rpc.Call{Connection: c.id, Do: rpc.Open, Want: rpc.State, Request: c.request, Protocol: c.protocol})
	if err == nil && opened.Error != nil {
		err = opened.Error
	}
	if err != nil {
		return nil, fmt.Errorf("asking Rails to open a connection: %w", err)
	}
	c.name, c.tags = opened.ID, opened.Tags
	return opened, nil
}

// unavailable is the answer when the fault is ours or Rails'. Clients come back
// by themselves.
func (s *Server) unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
	http.Error(w, "Service unavailable", http.StatusServiceUnavailable)
}

const retryAfter = 5 * time.Second

// relay answers the handshake with what Rails' middleware has answered.
func relay(w http.ResponseWriter, result *rpc.Result) {
	if result.Status < 200 || result.Status > 599 { // net/http would panic, or go on waiting
		http.Error(w, http.StatusText(http.StatusBadGateway), http.StatusBadGateway)
		return
	}
	for _, header := range result.Headers {
		switch http.CanonicalHeaderKey(header[0]) {
		case "Content-Length", "Transfer-Encoding", "Connection":
		default:
			w.Header().Add(header[0], header[1])
		}
	}
	w.WriteHeader(result.Status)
	w.Write([]byte(result.Body))
}
