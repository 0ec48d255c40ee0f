package cable

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/catenary-cable/catenary/cable/admission"
	"github.com/catenary-cable/catenary/cable/socket"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// ServeHTTP opens a connection. It calls Rails before it sends the 101, so that
// it can answer the handshake with what the app's middleware answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	valid := s.admission.CheckRequest(w, r, s.relay.TakesAll())
	if !valid {
		return
	}
	address := s.admission.Address(r)
	err := s.admit(address)
	if err != nil {
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
	identified := s.identify(c, w, r)
	if !identified {
		return
	}
	began := time.Now()
	done := func(outcome string) {
		if !c.openedByToken() { // otherwise Rails was not called
			s.handshakeDone(outcome, time.Since(began))
		}
	}
	opened, err := c.open(r.Context())
	switch {
	case err == errAbandoned:
		s.admission.Rejected.Add("rails_unavailable", "error", err)
		admission.Unavailable(w)
		done("unavailable")
		return
	case err != nil:
		s.finishOpening(c, false)
		s.admission.Rejected.Add(unavailableReason(err), "error", err)
		admission.Unavailable(w)
		done("unavailable")
		return
	case !opened.Opened():
		s.finishOpening(c, false)
		s.admission.AddRailsRejection(r, opened.Status, location(opened), opened.Body)
		answer(w, opened)
		done("refused")
		return
	}
	stopping := s.finishOpening(c, true)
	if stopping {
		c.socket.Close()
		c.disconnect("server_restart", nil)
		s.admission.Rejected.Count("stopping")
		admission.Unavailable(w)
		done("unavailable")
		return
	}
	err = c.upgrade(w, r)
	if err != nil {
		c.disconnect("browser_lost", nil)
		done("lost")
		return
	}
	s.count.opened.Add(1)
	done("opened")
	c.start(opened)
	if c.lostItsProcess() {
		c.disconnectInTurn(railsRestarted)
	}
}

// pageParameter is the parameter of the cable's URL with the token of the page (docs/others.md).
const pageParameter = "catenary_page"

func (s *Server) newConnection(r *http.Request) *Connection {
	c := &Connection{
		server:      s,
		id:          s.node + ":" + strconv.FormatInt(s.serial.Add(1), 36),
		request:     describe(r).Encode(),
		subprotocol: protocol.Negotiate(r.Header.Values("Sec-WebSocket-Protocol")),
	}
	c.socket.Init(s.sockets, c)
	c.socket.Page = socket.PageOf(r.URL.Query().Get(pageParameter))
	if s.relay.TakesAll() {
		c.upstream = c.newUpstream()
	}
	return c
}

// upgrade answers the handshake with the 101.
func (c *Connection) upgrade(w http.ResponseWriter, r *http.Request) error {
	return c.socket.Upgrade(w, r, c.subprotocol)
}

var errUnreachable = errors.New("Rails could not be reached in time")

// open has Rails run the app's connect and returns its answer.
func (c *Connection) open(ctx context.Context) (*rpc.Result, error) {
	if c.upstream != nil {
		subprotocol, opened, err := c.upstream.Open(ctx)
		if err == nil && opened.Opened() {
			c.subprotocol = subprotocol
			c.request = rpc.EncodedRequest{}
		}
		return opened, err
	}
	if c.openedByToken() {
		return c.openByToken(), nil
	}
	c.server.admission.RailsAsked()
	defer c.server.admission.RailsAnswered()
	opened, err := c.callOpen(ctx)
	if err == errAbandoned {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("opening a connection in Rails: %w", err)
	}
	c.name = opened.ID
	return opened, nil
}

// errAbandoned means that Rails is still running the app's connect when the
// handshake ends. After connect, Rails runs the disconnect callbacks.
var errAbandoned = errors.New(
	"Rails did not open the connection in time (backend.open_timeout), or its browser left")

// callOpen makes the open call. It returns errAbandoned if ctx or OpenWait ends after
// the call was sent.
func (c *Connection) callOpen(ctx context.Context) (*rpc.Result, error) {
	s := c.server
	s.mu.Lock()
	s.handshakes[c.id] = c
	s.mu.Unlock()
	c.callInFlight = true // no lock: no other goroutine uses the connection yet
	answers := make(chan rpc.Answer, 1)
	pending, err := s.backend.Do(&rpc.Call{
		Connection: c.id, Do: rpc.Open, Request: c.request, Protocol: c.railsProtocol(), Context: ctx,
	}, func(a rpc.Answer) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.abandoned {
			c.closeAbandoned(a)
			return
		}
		if a.Err == nil && a.Result.Error == nil {
			c.noteProcess(a.Process, a.Result)
		}
		if a.Err == nil { // early ops precede those of the result, later ones follow
			a.Result.Ops = append(c.takeEarlyOps(), a.Result.Ops...)
		}
		answers <- a
	})
	if err != nil {
		c.callInFlight = false
		return nil, err
	}
	timeout := time.NewTimer(s.limits.OpenWait) // cheaper than a context of its own
	defer timeout.Stop()
	var a rpc.Answer
	var late error
	select {
	case a = <-answers:
	case <-timeout.C:
		late = errUnreachable
	case <-ctx.Done():
		late = context.Cause(ctx)
	}
	if late != nil {
		withdrawn := pending.Withdraw()
		if withdrawn {
			return nil, s.backend.NotSentError(late)
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
	c.callInFlight = false
	c.mu.Unlock()
	return a.Result, nil
}

// abandon closes a connection that Rails is still opening. The server counts it
// until Rails has run its disconnect callbacks.
func (c *Connection) abandon() {
	c.server.finishOpening(c, true)
	c.socket.Close()
	c.disconnect("open_timeout", nil)
}

// closeAbandoned handles the answer to the open call of an abandoned connection:
// it has Rails run the disconnect callbacks. c.mu is held.
func (c *Connection) closeAbandoned(a rpc.Answer) {
	if a.Err == nil && a.Result.Opened() {
		c.noteProcess(a.Process, a.Result)
	}
	c.callInFlight = false
	c.callNext()
}

// unavailableReason returns the reason to reject a handshake that Rails could not
// be asked to open.
func unavailableReason(err error) string {
	if errors.Is(err, rpc.ErrBusy) {
		return "rails_busy"
	}
	return "rails_unavailable"
}
