package cable

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

func TestLimits_BoundTheBytesOfAConnectionsIdentifiers(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.SubscriptionBytes = 300 })
	b := w.welcomed()
	long := strings.Repeat("x", 100)
	b.subscribe("a " + long)
	b.subscribe("b " + long)
	b.expect(confirmed("a "+long), confirmed("b "+long))
	b.subscribe("c " + long)
	b.expect(rejected("c " + long))
	b.subscribe("short")
	b.expect(confirmed("short"))
	b.send(`{"command":"unsubscribe","identifier":"a ` + long + `"}`)
	w.eventually("the unsubscribe is applied", func() bool { return w.server.Stats().Subscriptions == 2 })
	b.subscribe("c " + long)
	b.expect(confirmed("c " + long))
	if n := w.server.Stats().SubscriptionsRejected["subscription_bytes"]; n != 1 {
		t.Errorf("%d rejections are counted", n)
	}
}

// JSON that Ruby parses and Go does not, here with a comment, does not get around the limit.
func TestLimits_ApplyWhenRailsConfirms(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Subscriptions = 3 })
	w.rails.onCall(func(call railsCall) map[string]any {
		call.Frames = slices.Clone(call.Frames)
		for i, text := range call.Frames {
			call.Frames[i] = strings.TrimPrefix(text, "/**/")
		}
		return behave(call)
	})
	b := w.welcomed()
	for n := range 3 {
		b.send(fmt.Sprintf(`/**/{"command":"subscribe","identifier":"a %d"}`, n))
		b.expect(confirmed(fmt.Sprintf("a %d", n)))
	}
	b.send(`/**/{"command":"subscribe","identifier":"a 3"}`)
	b.expect(rejected("a 3"))
	w.eventually("it is unsubscribed in Rails", func() bool {
		return slices.ContainsFunc(w.rails.made(rpc.Frames), func(call railsCall) bool {
			return slices.Contains(call.Frames, `{"command":"unsubscribe","identifier":"a 3"}`)
		})
	})
	b.send(`{"command":"unsubscribe","identifier":"a 0"}`)
	w.eventually("the unsubscribe is applied", func() bool { return w.server.Stats().Subscriptions == 2 })
	w.source.publish <- [2]string{"3", `"to nobody"`}
	b.subscribe("a 4")
	b.expect(confirmed("a 4"))
	if n := w.server.Stats().SubscriptionsRejected["subscriptions_per_connection"]; n != 1 {
		t.Errorf("%d rejections are counted", n)
	}
}

// catenary stops reading a browser when too many bytes of its commands wait for Rails.
func TestLimits_BoundTheBytesOfQueuedCommands(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Commands = 10_000 })
	release := make(chan bool)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Frames {
			<-release
		}
		return behave(call)
	})
	b := w.welcomed()
	const texts = 200
	text := func(n int) string {
		return fmt.Sprintf(`{"command":"message","identifier":"%s","data":"%d"}`, strings.Repeat("x", 1000), n)
	}
	for n := range texts {
		b.send(text(n))
	}
	w.eventually("the first command is in Rails", func() bool { return len(w.rails.made(rpc.Frames)) == 1 })
	w.server.mu.Lock()
	var c *Connection
	for _, c = range w.server.connections {
	}
	w.server.mu.Unlock()
	w.eventually("the queue is full", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.commandBytes > 2*4096 {
			t.Fatalf("%d bytes are queued", c.commandBytes)
		}
		return c.space.freed != nil
	})
	close(release)
	for n := range texts {
		b.expect(message(strings.Repeat("x", 1000), fmt.Sprint(n)))
	}
	if c.mu.Lock(); c.commandBytes != 0 {
		t.Errorf("in the end %d bytes are queued", c.commandBytes)
	}
	c.mu.Unlock()
}

func TestLimits_AMessageMustArriveWithinItsTimeout(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.MessageWait = 300 * time.Millisecond })
	half, idle := w.welcomed(), w.welcomed()
	half.ws.NetConn().Write([]byte{0x81, 0x80 | 100, 1, 2, 3, 4, 'x'}) // one byte of a hundred
	w.eventually("it is closed as slow", func() bool { return w.server.Stats().Ends["slow"] == 1 })
	idle.subscribe("room") // an idle browser has not begun a message
	idle.expect(confirmed("room"))
}

// One byte of a frame's head begins a message. A ping does not, and the browser may be idle after it.
func TestLimits_TheTimeoutAppliesToHalfAFrameHead(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.MessageWait = 300 * time.Millisecond })
	ping := "\x89\x82\x01\x02\x03\x04\x69\x6b" // "hi"
	for n, half := range []string{"\x81", "\x81\xfe\x01", "\x89\x82\x01\x02", ping + "\x81", "\x01\x80\x01\x02\x03\x04" + ping} {
		b := w.welcomed()
		b.ws.NetConn().Write([]byte(half))
		w.eventually(fmt.Sprintf("%q is closed as slow", half), func() bool { return w.server.Stats().Ends["slow"] == int64(n+1) })
	}
	b, began := w.welcomed(), time.Now()
	b.ws.SetPongHandler(func(data string) error {
		if data != "hi" {
			t.Errorf("the ping is answered with %q", data)
		}
		return b.ws.WriteMessage(websocket.TextMessage, []byte(`{"command":"message","identifier":"a","data":"1"}`))
	})
	b.ws.NetConn().Write([]byte(ping))
	b.expect(message("a", "1"))
	b.ws.NetConn().Write([]byte(ping + "\x8a\x80\x01\x02\x03\x04"))
	b.expect(message("a", "1"))
	w.eventually("the timeout has passed without a disconnect", func() bool { return time.Since(began) > 2*w.server.limits.Socket.MessageWait })
	b.subscribe("room")
	b.expect(confirmed("room"))
}

// The kernel still holds what a browser sent before it left. catenary must not throttle that.
func TestLimits_NoticeSoonThatAGreedyBrowserIsGone(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.CommandRate, s.limits.Socket.CommandBurst = 10, 1 })
	b := w.welcomed()
	var pings []byte
	for range 1000 { // at the limit, these would take 100 s
		pings = append(pings, 0x89, 0x80, 1, 2, 3, 4)
	}
	b.ws.NetConn().Write(pings)
	b.ws.NetConn().(*net.TCPConn).SetLinger(0)
	b.ws.Close()
	w.eventually("it is counted as lost", func() bool { return w.server.Stats().Ends["browser_lost"] == 1 })
}
