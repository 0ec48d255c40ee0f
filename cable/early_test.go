package cable

import (
	"testing"

	"github.com/catenary-cable/catenary/rpc"
)

func TestEarly_NothingIsAppliedTwiceOrLost(t *testing.T) {
	ops := func(frames ...string) (all []rpc.Op) {
		for _, frame := range frames {
			all = append(all, rpc.Op{Kind: rpc.OpSend, Frame: frame})
		}
		return all
	}
	var applied string
	apply := func(ops []rpc.Op) {
		for _, op := range ops {
			applied += op.Frame
		}
	}
	type publication struct {
		seq  int64
		from int
		ops  []rpc.Op
	}
	for name, published := range map[string][]publication{
		"nothing comes":              {},
		"all comes":                  {{2, 0, ops("a", "b")}, {2, 2, ops("c")}},
		"the first is missed":        {{2, 2, ops("c")}},
		"the last is missed":         {{2, 0, ops("a", "b")}},
		"one comes twice":            {{2, 0, ops("a", "b")}, {2, 0, ops("a", "b")}, {2, 2, ops("c")}},
		"one of the call before":     {{1, 0, ops("x")}, {2, 0, ops("a", "b")}},
		"one of a call to come":      {{3, 0, ops("x")}},
		"they come in another order": {{2, 2, ops("c")}, {2, 0, ops("a", "b")}},
	} {
		var e early
		applied = ""
		e.begin()
		apply(e.rest(nil))
		if seq := e.begin(); seq != 2 {
			t.Fatalf("the second call has the number %d", seq)
		}
		for _, p := range published {
			if e.accept(rpc.Late{Seq: p.seq, From: p.from, Ops: p.ops}) {
				apply(p.ops)
			}
		}
		apply(e.rest(ops("a", "b", "c", "d")))
		if e.accept(rpc.Late{Seq: 2, From: 0, Ops: ops("a", "b")}) || e.accept(rpc.Late{Seq: 2, From: 3, Ops: ops("d")}) {
			t.Errorf("%s: what comes after the reply is applied", name)
		}
		if applied != "abcd" {
			t.Errorf("%s: %s was applied", name, applied)
		}
	}
}

func TestEarly_WhatHasOvertakenItsReplyWaitsForIt(t *testing.T) {
	var e early
	e.begin()
	after := func(seq int64) rpc.Late { return rpc.Late{After: seq, Ops: make([]rpc.Op, 1)} }
	if e.wait(after(0)) {
		t.Error("what tells of no call waits")
	}
	if !e.wait(after(1)) || !e.wait(after(1)) {
		t.Error("what overtakes the reply does not wait")
	}
	e.rest(nil)
	if n := len(e.overtaken()); n != 2 {
		t.Errorf("%d effects have waited", n)
	}
	if e.wait(after(1)) || len(e.overtaken()) > 0 {
		t.Error("something waits though the reply is there")
	}
	e.begin()
	if e.wait(after(1)) {
		t.Error("what came after the first call waits for the second")
	}
}
