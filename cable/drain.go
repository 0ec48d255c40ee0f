package cable

import (
	"context"
	"maps"
	"slices"
	"time"
)

// Drain stops accepting handshakes and has every browser reconnect, to another node
// or later. It returns when Rails has run all disconnect callbacks, or when ctx ends,
// with ctx's error and the number of connections whose callbacks have not run.
//
// It disconnects browsers one by one, at the pace at which Rails has lately opened
// connections, so that Rails can open them again; but faster if that would take longer
// than over. A browser notices nothing until its turn.
func (s *Server) Drain(ctx context.Context, over time.Duration) (left int, err error) {
	open := s.stopAdmitting()
	disconnecting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.context, stop)() // Run has returned, so no socket is read any more
	stagger(disconnecting, len(open), s.drainInterval(len(open), over), func(i int) {
		open[i].disconnect("server_restart", serverRestart)
	})
	select {
	case <-s.drained:
		return 0, nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.connections), context.Cause(ctx)
	}
}

// stopAdmitting rejects all further handshakes, also those in flight, and returns
// the open connections.
func (s *Server) stopAdmitting() []*Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	open := slices.Collect(maps.Values(s.connections))
	s.checkDrained()
	s.stopServing()
	return open
}

// drainInterval is the time from one disconnect to the next: what Rails takes to
// open a connection, as if it opened only one at a time. That leaves the rest of its
// capacity to subscribes and the web.
func (s *Server) drainInterval(browsers int, over time.Duration) time.Duration {
	every := s.backend.OpenLatency()
	if every == 0 { // Rails has opened none: all are passed through
		every = lossInterval
	}
	return min(every, over/time.Duration(max(browsers, 1)))
}

// stagger calls do n times, once per interval. When ctx ends it makes the remaining
// calls at once.
func stagger(ctx context.Context, n int, every time.Duration, do func(int)) {
	begin := time.Now()
	for i := range n {
		wait := time.Until(begin.Add(time.Duration(i) * every))
		if wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				every = 0
			}
		}
		do(i)
	}
}
