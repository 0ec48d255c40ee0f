package cable

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/catenary-cable/catenary/protocol"
)

// Drain tells every browser to come back, elsewhere or later, and returns when
// Rails knows of every end, or with ctx's error and the number of those of
// which it does not. From its beginning no handshake is let in.
//
// Browsers are told one by one, so that Rails can open those who come back: at
// the pace at which it has opened them lately, or faster if over, the time
// that there is for it, is too short for that. Until it is told, a browser
// notices nothing.
func (s *Server) Drain(ctx context.Context, over time.Duration) (left int, err error) {
	open := s.stopAdmitting()
	telling, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(s.context, stop)() // nobody is read any more
	spread(telling, len(open), s.drainEvery(len(open), over), func(i int) {
		open[i].end("server_restart", &protocol.Disconnect{Reason: protocol.ServerRestart, Reconnect: true})
	})
	select {
	case <-s.empty:
		return 0, nil
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.connections), context.Cause(ctx)
	}
}

// stopAdmitting refuses handshakes from now on, those too that are under way,
// and returns the connections that there are.
func (s *Server) stopAdmitting() []*Connection {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	open := slices.Collect(maps.Values(s.connections))
	s.checkEmpty()
	s.hurry()
	return open
}

// drainEvery is the time from telling one browser to telling the next: what Rails
// needs to open a connection, as if it could open only one at a time. What it
// can do beyond that is left for their subscribes, and for the web.
func (s *Server) drainEvery(browsers int, over time.Duration) time.Duration {
	every := s.backend.OpenLatency()
	if every == 0 { // all were passed through
		every = lostEvery
	}
	return min(every, over/time.Duration(max(browsers, 1)))
}

// spread does something n times, once every so often, and what is left at once
// when ctx ends.
func spread(ctx context.Context, n int, every time.Duration, do func(int)) {
	begin := time.Now()
	for i := range n {
		if wait := time.Until(begin.Add(time.Duration(i) * every)); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				every = 0
			}
		}
		do(i)
	}
}
