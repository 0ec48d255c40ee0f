package cable

import "github.com/catenary-cable/catenary/rpc"

// early keeps count of what is known of a long command's effects before its
// reply, which tells all of them again: what was published meanwhile may have
// been missed, with Redis away, or may still come afterwards. c.mu guards it.
type early struct {
	seq     int64 // of the connection's last call
	running bool
	applied int      // of the call's ops
	late    []rpc.Op // what came after the call, and here sooner than its reply
}

// lateKept is how many late effects wait for a reply; more do not.
const lateKept = 1000

// begin numbers the next call.
func (e *early) begin() (seq int64) {
	*e = early{seq: e.seq + 1, running: true}
	return e.seq
}

// accept reports whether effects are the next of the call that runs.
func (e *early) accept(late rpc.Late) bool {
	if !e.running || late.Seq != e.seq || late.From != e.applied {
		return false
	}
	e.applied += len(late.Ops)
	return true
}

// wait reports whether late effects have overtaken the reply of their call, and if
// so keeps them until it is there.
func (e *early) wait(late rpc.Late) bool {
	if !e.running || late.After != e.seq || len(e.late) >= lateKept {
		return false
	}
	e.late = append(e.late, late.Ops...)
	return true
}

// overtaken are the late effects that have waited for the reply.
func (e *early) overtaken() (ops []rpc.Op) {
	ops, e.late = e.late, nil
	return ops
}

// rest is what the reply tells and nobody has told before.
func (e *early) rest(ops []rpc.Op) []rpc.Op {
	e.running = false
	return ops[min(e.applied, len(ops)):]
}
