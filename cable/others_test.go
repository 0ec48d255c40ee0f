package cable

import (
	"testing"

	"github.com/catenary-cable/catenary/rpc"
)

// pageMark is the gem's mark for the first page below; rpc/rails/test/others_test.rb has the same.
const pageMark = "\t \t \r\n\r\n\n\t\r\r\n\t\r\r\t\t \t \t \t\r\r\t\r\n\r \n\t\r\n\n\t\r\n "

// visit opens a connection of a page.
func (w *world) visit(page string) *browser {
	w.Helper()
	address := w.url
	defer func() { w.url = address }()
	w.url += "?catenary_page=" + page
	return w.welcomed()
}

func TestOthers_ABroadcastLeavesOutAPage(t *testing.T) {
	w := newWorld(t)
	author, reader, plain := w.visit("0123456789abcdef"), w.visit("fedcba9876543210"), w.welcomed()
	all := []*browser{author, reader, plain}
	for _, b := range all {
		b.subscribe("chat room")
		b.expect(confirmed("chat room"))
	}
	w.source.publish <- [2]string{"room", `{"n":1}` + pageMark}
	w.source.publish <- [2]string{"room", `{"n":2}`}
	author.expect(message("chat room", `{"n":2}`))
	for _, b := range all[1:] {
		b.expect(message("chat room", `{"n":1}`), message("chat room", `{"n":2}`))
	}
	w.eventually("five frames are counted", func() bool { return w.hub.Stats().Deliveries == 5 })
}

// A stream with a block gets the payload without the mark.
func TestOthers_ABlockDoesNotRunForThePage(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		if call.Do == rpc.Frames {
			result["ops"] = []any{[]any{"sub", "chat room", "room", w.rails.Name}, []any{"confirm", "chat room"}}
		}
		return result
	})
	for _, page := range []string{"0123456789abcdef", "fedcba9876543210"} {
		b := w.visit(page)
		b.subscribe("chat room")
		b.expect(confirmed("chat room"))
	}
	w.source.publish <- [2]string{"room", `{"n":1}` + pageMark}
	w.source.publish <- [2]string{"room", `{"n":2}`}
	w.eventually("three blocks run", func() bool { return len(w.rails.made(rpc.Deliver)) == 3 })
	marked := 0
	for _, call := range w.rails.made(rpc.Deliver) {
		switch call.Payload {
		case `{"n":1}`:
			marked++
		case `{"n":2}`:
		default:
			t.Errorf("a block runs with %q", call.Payload)
		}
	}
	if marked != 1 {
		t.Errorf("%d blocks run for the broadcast that leaves out a page", marked)
	}
}
