package cable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
)

// What follows is for a node that dies: the others make its close calls, and
// a node that did not die after all learns of it. See package lease.

// report says that others would have to know something new. c.mu is held.
func (c *Connection) report() {
	if c.changed {
		c.changed = false
		c.server.lease.Changed(c.id)
	}
}

// Record is the full close call, behind the name of the process that may still
// hold the objects.
func (s *Server) Record(to []byte, id string) []byte {
	s.mu.Lock()
	c := s.connections[id]
	s.mu.Unlock()
	if c == nil || c.taken.Load() {
		return nil
	}
	c.mu.Lock()
	home, unknown, whole := c.home, c.isUnknownToRails(), c.upstream.Whole()
	c.mu.Unlock()
	if unknown || whole { // no call has been made for it: there is nothing to end
		return nil
	}
	if home != nil {
		to = append(to, home.ID...)
	}
	call := rpc.Call{Connection: c.id, Do: rpc.Close} // no version: nobody else can have a later one
	c.fill(&call, home)
	return call.AppendTo(append(to, '\n'))
}

// Close tells Rails of the ends of another node's connections, and returns those
// of which it may know now: they must not be told again.
func (s *Server) Close(ctx context.Context, records []lease.Record) (told []string, err error) {
	var mu sync.Mutex
	var calls sync.WaitGroup
	for _, record := range records {
		home, text, _ := bytes.Cut(record.Text, []byte("\n"))
		call := rpc.Call{Connection: record.Connection, Do: rpc.Close, Encoded: text, Home: s.backend.Process(string(home))}
		if s.restart.Reconnect && call.Home == nil && len(home) > 0 { // as natively, if node and process die together
			mu.Lock()
			told = append(told, record.Connection)
			mu.Unlock()
			continue
		}
		calls.Go(func() {
			result, failure := s.backend.Call(ctx, call)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(failure, rpc.ErrNotSent):
				err = fmt.Errorf("telling Rails of the ends of another node's connections: %w", failure)
				return
			case failure != nil:
				s.closer.lost.Add("may_have_run", "connection", call.Connection, "error", failure)
			case result.Error != nil:
				s.log.Warn("Rails could not run the callbacks of an end", "connection", call.Connection, "error", result.Error)
			}
			told = append(told, call.Connection)
		})
	}
	calls.Wait()
	return told, err
}

// Taken ends all connections: we were believed to be dead. Rails knows already
// of the ends of those that are named.
func (s *Server) Taken(ids []string) {
	s.mu.Lock()
	all := make([]*Connection, 0, len(s.connections))
	for _, c := range s.connections {
		all = append(all, c)
	}
	for _, id := range ids {
		if c := s.connections[id]; c != nil {
			c.taken.Store(true)
		}
	}
	s.mu.Unlock()
	for _, c := range all {
		c.end("taken_over", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	}
}

var _ lease.Connections = (*Server)(nil)
