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

func TestLimits_IdentifiersOfAConnectionAreBoundedInBytes(t *testing.T) {
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
	w.eventually("an unsubscribe makes room", func() bool { return w.server.Stats().Subscriptions == 2 })
	b.subscribe("c " + long)
	b.expect(confirmed("c " + long))
	if n := w.server.Stats().SubscriptionsRejected["subscription_bytes"]; n != 1 {
		t.Errorf("%d refusals are counted", n)
	}
}

// A spelling that Go does not read, and Ruby does, buys nothing: here a comment in the JSON.
func TestLimits_AreChargedWhereRailsConfirms(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Subscriptions = 3 })
	w.rails.onCall(func(call asked) map[string]any {
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
	w.eventually("Rails is told to forget it", func() bool {
		return slices.ContainsFunc(w.rails.made(rpc.Frames), func(call asked) bool {
			return slices.Contains(call.Frames, `{"command":"unsubscribe","identifier":"a 3"}`)
		})
	})
	b.send(`{"command":"unsubscribe","identifier":"a 0"}`)
	w.eventually("an unsubscribe makes room", func() bool { return w.server.Stats().Subscriptions == 2 })
	w.source.publish <- [2]string{"3", `"to nobody"`}
	b.subscribe("a 4")
	b.expect(confirmed("a 4"))
	if n := w.server.Stats().SubscriptionsRejected["subscriptions_per_connection"]; n != 1 {
		t.Errorf("%d refusals are counted", n)
	}
}

// A browser whose commands Rails works off slowly is read no further, long before memory is short.
func TestLimits_CommandsThatWaitAreBoundedInBytes(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Commands = 10_000 })
	release := make(chan bool)
	w.rails.onCall(func(call asked) map[string]any {
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
			t.Fatalf("%d bytes wait", c.commandBytes)
		}
		return c.space.made != nil
	})
	close(release)
	for n := range texts {
		b.expect(message(strings.Repeat("x", 1000), fmt.Sprint(n)))
	}
	if c.mu.Lock(); c.commandBytes != 0 {
		t.Errorf("in the end %d bytes wait", c.commandBytes)
	}
	c.mu.Unlock()
}

func TestLimits_AMessageMustEndOnceItHasBegun(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.MessageWait = 300 * time.Millisecond })
	half, idle := w.welcomed(), w.welcomed()
	half.ws.NetConn().Write([]byte{0x81, 0x80 | 100, 1, 2, 3, 4, 'x'}) // one byte of a hundred
	w.eventually("it is given up", func() bool { return w.server.Stats().Ends["slow"] == 1 })
	idle.subscribe("room") // silence is no message
	idle.expect(confirmed("room"))
}

// One byte of a head is a message that has begun. A ping is none, and who has sent one may be silent afterwards.
func TestLimits_HalfAHeadIsWaitedForAsLongAsHalfAMessage(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.MessageWait = 300 * time.Millisecond })
	ping := "\x89\x82\x01\x02\x03\x04\x69\x6b" // "hi"
	for n, half := range []string{"\x81", "\x81\xfe\x01", "\x89\x82\x01\x02", ping + "\x81", "\x01\x80\x01\x02\x03\x04" + ping} {
		b := w.welcomed()
		b.ws.NetConn().Write([]byte(half))
		w.eventually(fmt.Sprintf("%q is given up", half), func() bool { return w.server.Stats().Ends["slow"] == int64(n+1) })
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
	w.eventually("nothing of it is given up", func() bool { return time.Since(began) > 2*w.server.limits.Socket.MessageWait })
	b.subscribe("room")
	b.expect(confirmed("room"))
}

// What a browser sent before it left waits in the kernel: it must not be held up by a pace that nobody keeps any more.
func TestLimits_AGreedyBrowserThatHasGoneIsMissedSoon(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Socket.CommandRate, s.limits.Socket.CommandBurst = 10, 1 })
	b := w.welcomed()
	var pings []byte
	for range 1000 { // a hundred seconds' worth
		pings = append(pings, 0x89, 0x80, 1, 2, 3, 4)
	}
	b.ws.NetConn().Write(pings)
	b.ws.NetConn().(*net.TCPConn).SetLinger(0)
	b.ws.Close()
	w.eventually("it is missed", func() bool { return w.server.Stats().Ends["browser_lost"] == 1 })
}
