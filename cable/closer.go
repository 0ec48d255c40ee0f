package cable

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/rpc"
)

const (
	closeBatch   = 50 // ends told in one call
	closeWorkers = 3  // such calls in flight: the rest of Rails is for those who stay
)

// closer tells Rails of the connections that have ended, many in one call, so
// that those who come are not kept waiting by those who go. An end is told
// even if Rails is restarted meanwhile.
type closer struct {
	server *Server

	mu      sync.Mutex
	waiting []*Connection // each is one of the server's connections, so there is a limit
	workers int
}

// add takes a connection that has made all its other calls.
func (cl *closer) add(c *Connection) {
	if c.isUnknownToRails() {
		cl.server.remove(c)
		return
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.waiting = append(cl.waiting, c)
	if cl.workers < closeWorkers && (cl.workers == 0 || len(cl.waiting) > closeBatch) {
		cl.workers++
		go cl.work()
	}
}

func (cl *closer) work() {
	for {
		cl.server.lease.Certain(cl.server.patience, cl.server.limits.CallWait) // no longer than for Rails
		batch := cl.take()
		if batch == nil {
			return
		}
		batch = cl.untold(batch)
		if len(batch) == 0 {
			continue
		}
		told, err := cl.tell(batch, false)
		if err == nil && len(told) > 0 { // Rails holds these no more, and must be given all of them
			_, err = cl.tell(told, true)
		}
		if err != nil {
			cl.server.count.closesLost.Add(int64(len(batch)))
			cl.server.log.Error("ends did not reach Rails", "connections", len(batch), "error", err)
		}
		for _, c := range batch {
			cl.server.remove(c)
		}
	}
}

// take returns the next few whose objects are in the same process.
func (cl *closer) take() (batch []*Connection) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	rest := cl.waiting[:0]
	for i, c := range cl.waiting {
		if len(batch) == closeBatch {
			rest = append(rest, cl.waiting[i:]...)
			break
		}
		if len(batch) == 0 || c.boot == batch[0].boot {
			batch = append(batch, c)
		} else {
			rest = append(rest, c)
		}
	}
	clear(cl.waiting[len(rest):])
	cl.waiting = rest
	if len(rest) == 0 {
		cl.waiting = nil
	}
	if batch == nil {
		cl.workers--
	}
	return batch
}

// untold removes those whose callbacks another node has run.
func (cl *closer) untold(batch []*Connection) []*Connection {
	return slices.DeleteFunc(batch, func(c *Connection) bool {
		if !c.taken.Load() {
			return false
		}
		cl.server.remove(c)
		return true
	})
}

// tell makes the call, and returns those that Rails needs in full.
func (cl *closer) tell(batch []*Connection, full bool) (unknown []*Connection, err error) {
	calls := make([]rpc.Call, len(batch))
	for i, c := range batch {
		calls[i] = rpc.Call{Connection: c.id, Do: rpc.Close, Version: c.version}
		if full {
			c.fill(&calls[i])
		}
	}
	ctx, cancel := context.WithTimeoutCause(cl.server.context, cl.server.limits.CallWait, errUnreachable)
	defer cancel()
	reply, err := cl.server.callUntilSent(ctx, batch[0].boot, true, calls...)
	if err != nil {
		return nil, err
	}
	for i, result := range reply.Results {
		switch {
		case result.Need != "" && !full:
			unknown = append(unknown, batch[i])
		case result.Error != nil:
			batch[i].log().Warn("Rails could not run the callbacks of an end", "error", result.Error)
		}
	}
	return unknown, nil
}

// callUntilSent tries for as long as ctx allows, if Rails cannot be reached. The
// patient try too if too many calls wait already, or if something else has
// answered than the gem: an application that does not start, or a proxy whose
// Rails is away. That proxy may be wrong (Rails was killed over this very
// call), so it is for callbacks, which must not be lost, and not for actions,
// which must not run twice.
func (s *Server) callUntilSent(ctx context.Context, boot string, patient bool, calls ...rpc.Call) (*rpc.Reply, error) {
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		reply, err := s.backend.Call(ctx, boot, calls...)
		again := errors.Is(err, rpc.ErrNotSent)
		if patient {
			again = again || errors.As(err, new(*rpc.StatusError))
		} else {
			again = again && !errors.Is(err, rpc.ErrBusy)
		}
		if !again {
			return reply, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}
