package cable

import "github.com/catenary-cable/catenary/rpc"

// early keeps count of what is known of a long command's effects before its
// reply, which tells all of them again: what was published meanwhile may have
// been missed, with Redis away, or may still come afterwards. c.mu guards it.
type early struct {
	seq     int64 // of the connection's last call
	running bool
	applied int // of the call's ops
}

// begin numbers the next call.
func (e *early) begin() (seq int64) {
	*e = early{seq: e.seq + 1, running: true}
	return e.seq
}

// accept tells whether effects are the next of the call that runs.
func (e *early) accept(late rpc.Late) bool {
	if !e.running || late.Seq != e.seq || late.From != e.applied {
		return false
	}
	e.applied += len(late.Ops)
	return true
}

// rest is what the reply tells and nobody has told before.
func (e *early) rest(ops []rpc.Op) []rpc.Op {
	e.running = false
	return ops[min(e.applied, len(ops)):]
}
