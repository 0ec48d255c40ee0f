package cable

import (
	"bytes"
	"context"
	"errors"
	"fmt"

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
	home, whole := c.home, c.upstream.Whole()
	c.mu.Unlock()
	if home == "" || whole { // no call has been made for it: there is nothing to end
		return nil
	}
	call := rpc.Call{Connection: c.id, Do: rpc.Close} // no version: nobody else can have a later one
	c.fill(&call)
	return call.AppendTo(append(append(to, home...), '\n'))
}

// Close tells Rails of the ends of another node's connections.
func (s *Server) Close(ctx context.Context, records []lease.Record) error {
	byHome := map[string][]rpc.Call{}
	for _, record := range records {
		home, call, _ := bytes.Cut(record.Text, []byte("\n"))
		byHome[string(home)] = append(byHome[string(home)], rpc.Call{Connection: record.Connection, Do: rpc.Close, Encoded: call})
	}
	for home, calls := range byHome {
		reply, err := s.callUntilSent(ctx, home, true, calls...)
		if errors.Is(err, rpc.ErrNotSent) {
			return fmt.Errorf("telling Rails of the ends of another node's connections: %w", err)
		}
		if err != nil { // they may have run
			s.count.closesLost.Add(int64(len(calls)))
			s.log.Error("ends of another node's connections did not reach Rails", "connections", len(calls), "error", err)
			continue
		}
		for i, result := range reply.Results {
			if result.Error != nil {
				s.log.Warn("Rails could not run the callbacks of an end", "connection", calls[i].Connection, "error", result.Error)
			}
		}
	}
	return nil
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
