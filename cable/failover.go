package cable

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/catenary-cable/catenary/cable/lease"
	"github.com/catenary-cable/catenary/rpc"
)

// If a node dies, other nodes make its close calls from the records that it left in
// Redis. If it turns out to be alive, it closes its connections. See package lease.

// reportChange has the lease write the connection's record again, if it has changed.
// c.mu is held.
func (c *Connection) reportChange() {
	if c.recordChanged {
		c.recordChanged = false
		c.server.lease.Changed(c.id)
	}
}

// Record appends the id of the process that holds the objects, a newline and the full
// close call. It returns nil if there is nothing to close in Rails.
func (s *Server) Record(dst []byte, id string) []byte {
	s.mu.Lock()
	c := s.connections[id]
	s.mu.Unlock()
	if c == nil || c.takenOver.Load() {
		return nil
	}
	c.mu.Lock()
	process, unknown, whole := c.process, c.isUnknownToRails(), c.upstream.Whole()
	c.mu.Unlock()
	if unknown || whole {
		return nil
	}
	if process != nil {
		dst = append(dst, process.ID...)
	}
	call := rpc.Call{Connection: c.id, Do: rpc.Close} // without a version: it applies to any
	c.fill(&call, process)
	return call.AppendTo(append(dst, '\n'))
}

// Close has Rails run the disconnect callbacks of another node's connections. It
// returns those whose callbacks have run or may have run: they must not run again.
func (s *Server) Close(ctx context.Context, records []lease.Record) (done []string, err error) {
	var mu sync.Mutex
	var calls sync.WaitGroup
	for _, record := range records {
		process, text, _ := bytes.Cut(record.Text, []byte("\n"))
		call := rpc.Call{
			Connection: record.Connection, Do: rpc.Close, Encoded: text, Home: s.backend.Process(string(process)),
		}
		if s.restart.Reconnect && call.Home == nil && len(process) > 0 {
			// The process is gone as well: as without catenary, no callbacks run.
			mu.Lock()
			done = append(done, record.Connection)
			mu.Unlock()
			continue
		}
		calls.Go(func() {
			result, failure := s.backend.Call(ctx, call)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(failure, rpc.ErrNotSent):
				err = fmt.Errorf("running the disconnect callbacks of another node: %w", failure)
				return
			case failure != nil:
				s.closer.lost.Add("may_have_run", "connection", call.Connection, "error", failure)
			case result.Error != nil:
				s.log.Warn("Rails could not run disconnect callbacks", "connection", call.Connection, "error", result.Error)
			}
			done = append(done, call.Connection)
		})
	}
	calls.Wait()
	return done, err
}

// Taken closes all connections, because another node has taken this node over. For the
// connections with the given ids that node has run the disconnect callbacks.
func (s *Server) Taken(ids []string) {
	s.mu.Lock()
	all := make([]*Connection, 0, len(s.connections))
	for _, c := range s.connections {
		all = append(all, c)
	}
	for _, id := range ids {
		if c := s.connections[id]; c != nil {
			c.takenOver.Store(true)
		}
	}
	s.mu.Unlock()
	for _, c := range all {
		c.disconnect("taken_over", serverRestart)
	}
}

var _ lease.Connections = (*Server)(nil)
