package cable

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

func listenOn(t *testing.T, address string) net.Listener {
	t.Helper()
	var listener net.Listener
	patience.Eventually(t, address+" is free again", func() bool {
		var err error
		listener, err = net.Listen("tcp", address)
		return err == nil
	})
	return listener
}

// Broadcasts go straight to the socket until it is full, then to the queue, then straight
// to the socket again. A browser that reads in bursts makes the server switch often.
func TestBroadcasts_ArriveInOrderWhileTheSocketFillsAndEmpties(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.PendingBytes = 256 << 20 })
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	const messages = 5000
	filler := strings.Repeat("x", 4000)
	go func() {
		for i := range messages {
			w.source.publish <- [2]string{"room", fmt.Sprintf(`[%d,"%s"]`, i, filler)}
		}
	}()
	for i := range messages {
		if i%500 == 0 {
			time.Sleep(100 * time.Millisecond) // the kernel's buffers fill
		}
		b.expect(message("chat room", fmt.Sprintf(`[%d,"%s"]`, i, filler)))
	}
}

func TestBroadcasts_ArriveOnceWhileOthersConnectAndLeave(t *testing.T) {
	w := newWorld(t)
	stays := w.welcomed()
	stays.subscribe("chat room")
	stays.expect(confirmed("chat room"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 20 {
			b := w.welcomed()
			b.subscribe(fmt.Sprint("chat", i%3, " room"))
			b.ws.ReadMessage()
			b.ws.Close()
		}
	}()
	for i := range 500 {
		w.source.publish <- [2]string{"room", fmt.Sprint(i)}
		stays.expect(message("chat room", fmt.Sprint(i)))
	}
	<-done
}

func TestBroadcasts_CloseASlowBrowserAndReachAQuickOne(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.PendingBytes = 64 << 10 })
	slow, quick := w.welcomed(), w.welcomed()
	for _, b := range []*browser{slow, quick} {
		b.subscribe("chat room")
		b.expect(confirmed("chat room"))
	}
	filler := strings.Repeat("x", 60<<10)
	given := func() bool {
		w.server.count.mu.Lock()
		defer w.server.count.mu.Unlock()
		return w.server.count.ends["slow"] == 1
	}
	for i := 0; !given() && i < 2000; i++ {
		payload := fmt.Sprintf(`[%d,"%s"]`, i, filler)
		w.source.publish <- [2]string{"room", payload}
		quick.expect(message("chat room", payload))
	}
	if !given() {
		t.Fatal("the slow browser was never disconnected")
	}
}

// A broadcast longer than pending_bytes does not disconnect a browser that reads it.
func TestBroadcasts_OfAnyLengthReachABrowserThatReads(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.PendingBytes = 64 << 10 })
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	long := `"` + strings.Repeat("x", 5<<20) + `"`
	for range 3 {
		w.source.publish <- [2]string{"room", long}
		b.expect(message("chat room", long))
	}
	w.source.publish <- [2]string{"room", "1"}
	b.expect(message("chat room", "1"))
}

func TestBroadcasts_WithInvalidJSONAreDropped(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	for _, payload := range []string{"", "{bad", "NaN", "\"\xff\"", "raw text"} {
		w.source.publish <- [2]string{"room", payload}
	}
	w.source.publish <- [2]string{"room", ` 12345678901234567890123 `}
	b.expect(message("chat room", ` 12345678901234567890123 `))
}

func TestBroadcasts_ReachEachIdentifierOfAStream(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Subscriptions = 100 })
	b := w.welcomed()
	want := map[string]bool{}
	for i := range 30 {
		identifier := fmt.Sprint("chat", i, " room")
		b.subscribe(identifier)
		b.expect(confirmed(identifier))
		want[message(identifier, "1")] = true
	}
	for i := 0; i < 30; i += 2 {
		identifier := fmt.Sprint("chat", i, " room")
		b.send(`{"command":"unsubscribe","identifier":"` + identifier + `"}`)
		delete(want, message(identifier, "1"))
	}
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	w.source.publish <- [2]string{"room", "1"}
	for range 15 {
		got, err := b.next()
		if err != nil || !want[got] {
			t.Fatalf("got %s (%v)", got, err)
		}
		delete(want, got)
	}
}

// A Rails thread that has opened a stream and then broadcasts to it waits until the stream is
// live, so that its own browser gets the broadcast.
func TestSync_WaitsOnlyForTheStreamsOfItsConnection(t *testing.T) {
	w := newWorld(t)
	comes, stays := w.welcomed(), w.welcomed()
	stays.subscribe("chat news")
	stays.expect(confirmed("chat news"))
	opens := w.rails.made(rpc.Open)
	link := w.rails.Links()[0]
	w.source.hold()
	comes.subscribe("chat room")
	w.eventually("the stream is subscribed", func() bool { return w.source.has("room") })
	said := func(frame string) bool { return slices.Contains(link.Controls(), frame) }
	for _, connection := range []string{opens[0].Connection, opens[1].Connection, "n:unknown"} {
		link.Write(`{"sync":` + fmt.Sprint(len(connection)*100+int(connection[len(connection)-1])) + `,"conn":"` + connection + `"}`)
	}
	number := func(connection string) string {
		return fmt.Sprintf(`{"synced":%d}`, len(connection)*100+int(connection[len(connection)-1]))
	}
	w.eventually("the others are synced", func() bool {
		return said(number("n:unknown")) && (said(number(opens[0].Connection)) != said(number(opens[1].Connection)))
	})
	w.source.release()
	comes.expect(confirmed("chat room"))
	w.eventually("all are synced", func() bool { return said(number(opens[0].Connection)) && said(number(opens[1].Connection)) })
}

// Effects during connect, at its end and right after it reach the browser in that order, though all may arrive before
// the 101 is sent.
func TestOpening_AppliesEffectsInTheirOrder(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do != rpc.Open {
			return behave(call)
		}
		link := w.rails.Links()[0]
		link.Write(fmt.Sprintf(`{"call":%d,"ops":[["send","\"while\""]]}`, call.Number))
		link.End(call, `{"status":200,"ver":"1","state":"s","kept":true,"ops":[["send","\"end\""],["welcome"]]}`)
		link.Write(`{"conn":"` + call.Connection + `","ops":[["send","\"after\""]]}`)
		return nil
	})
	for range 50 {
		b := w.browser()
		b.expect(`"while"`, `"end"`, `{"type":"welcome"}`, `"after"`)
		b.ws.Close()
	}
}

// If connect ends just when open_timeout expires, the disconnect callbacks run, too.
func TestOpening_ThatEndsAtItsTimeoutIsClosed(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.OpenWait = 20 * time.Millisecond })
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Open {
			time.Sleep(20 * time.Millisecond)
		}
		return behave(call)
	})
	for range 100 {
		if ws, _, err := websocket.DefaultDialer.Dial(w.url, nil); err == nil {
			ws.Close()
		}
	}
	w.eventually("no connection is left", func() bool { return w.server.Stats().Connections == 0 })
	if opens, closes := len(w.rails.made(rpc.Open)), len(w.rails.made(rpc.Close)); opens != closes {
		t.Errorf("%d connections were opened, %d closed", opens, closes)
	}
}

// The bytes that wait for a stream's block are bounded, and ShedBacklog frees them.
func TestBroadcasts_QueuedForABusyBlockAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.PendingBytes = 300_000 })
	delivered := make(chan bool, 9)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Deliver {
			delivered <- true
			return nil // never answered
		}
		result := behave(call)
		if call.Do == rpc.Frames {
			result["ops"] = []any{[]any{"sub", "chat", "room", w.rails.Name}, []any{"confirm", "chat"}}
			result["channels"] = map[string]any{"chat": map[string]any{"state": "c"}}
		}
		return result
	})
	subscribed := func() *browser {
		b := w.welcomed()
		b.subscribe("chat")
		b.expect(confirmed("chat"))
		return b
	}
	b := subscribed()
	long := `"` + strings.Repeat("x", 100_000) + `"`
	w.source.publish <- [2]string{"room", long}
	<-delivered
	for range 4 { // three are queued
		w.source.publish <- [2]string{"room", long}
	}
	b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
	w.eventually("it is closed as slow", func() bool { return w.server.Stats().Ends["slow"] == 1 })

	b = subscribed()
	w.source.publish <- [2]string{"room", long}
	<-delivered // a call that has not been sent would be sent again when the link is cut
	w.eventually("it is shed", func() bool { return w.server.ShedBacklog() == 1 })
	b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
	w.rails.Cut() // otherwise the close calls wait forever
}

// A broadcast is one call for each connection whose stream has a block. A busy connection delays no other.
func TestBroadcasts_ForABlockWaitOnlyForItsConnection(t *testing.T) {
	w := newWorld(t)
	release := make(chan bool)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		switch {
		case call.Do == rpc.Deliver:
			result["ops"] = []any{[]any{"message", call.Channel, json.RawMessage(call.Payload)}}
		case call.Do == rpc.Frames && strings.Contains(call.Frames[0], "subscribe"):
			result["ops"] = []any{[]any{"sub", "chat", "room", w.rails.Name}, []any{"confirm", "chat"}}
			result["channels"] = map[string]any{"chat": map[string]any{"state": "c"}}
		case call.Do == rpc.Frames:
			<-release
		}
		return result
	})
	var browsers []*browser
	for range 5 {
		b := w.welcomed()
		b.subscribe("chat")
		b.expect(confirmed("chat"))
		browsers = append(browsers, b)
	}
	busy := browsers[0]
	busy.send(`{"command":"message","identifier":"chat","data":"0"}`)
	w.eventually("it is busy", func() bool { return len(w.rails.made(rpc.Frames)) == 6 })
	w.source.publish <- [2]string{"room", `1`}
	w.source.publish <- [2]string{"room", `2`}
	for _, b := range browsers[1:] {
		b.expect(message("chat", "1"), message("chat", "2"))
	}
	close(release)
	busy.expect(message("chat", "0"), message("chat", "1"), message("chat", "2"))
}
