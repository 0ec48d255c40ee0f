package cable

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

func TestConnection_ConfirmsOnlyWhenTheStreamIsLive(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	w.source.hold()
	b.subscribe("chat room")
	b.subscribe("echo")
	b.expect(confirmed("echo")) // no stream, nothing to wait for
	w.source.release()
	b.expect(confirmed("chat room"))
	w.source.publish <- [2]string{"room", `{"x":1}`}
	b.expect(message("chat room", `{"x":1}`))
}

// In an outage of the source, a stream that was live may no longer be.
func TestConnection_ConfirmsInAnOutageOnlyWhenTheStreamIsLiveAgain(t *testing.T) {
	w := newWorld(t)
	before, during := w.welcomed(), w.welcomed()
	before.subscribe("a room")
	before.expect(confirmed("a room"))
	w.source.fail()
	for _, identifier := range []string{"b room", "c room"} {
		during.subscribe(identifier)
	}
	during.send(`{"command":"message","identifier":"x","data":"1"}`)
	during.expect(message("x", "1")) // and no confirmation before it
	w.source.release()
	during.expect(confirmed("b room"), confirmed("c room"))
	w.source.publish <- [2]string{"room", "1"}
	during.expect(message("b room", "1"), message("c room", "1"))
}

func TestConnection_CallsRailsOnceHoweverOftenTheBrowserSubscribes(t *testing.T) {
	w := newWorld(t)
	answer := make(chan struct{})
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Frames {
			<-answer
		}
		return behave(call)
	})
	b := w.welcomed()
	for range 5 {
		b.subscribe("chat room")
	}
	w.eventually("all have arrived before Rails answers the first", func() bool { return w.server.Stats().Commands["subscribe"] == 5 })
	close(answer)
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	b.expect(confirmed("chat room"), message("chat room", "1"))
	b.subscribe("chat room")
	b.send(`{"command":"message","identifier":"chat room","data":"2"}`)
	b.expect(message("chat room", "2"))
	if n := frames(w.rails, "subscribe"); n != 1 {
		t.Fatalf("Rails was called %d times", n)
	}
}

func TestConnection_SubscribesAgainWhileAnUnsubscribeIsInFlight(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	b.send(`{"command":"unsubscribe","identifier":"chat room"}`)
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	w.source.publish <- [2]string{"room", `1`}
	b.expect(message("chat room", `1`))
	b.send(`{"command":"unsubscribe","identifier":"chat room"}`)
	w.eventually("the stream is unsubscribed", func() bool { return !w.source.has("room") })
}

func TestConnection_EvaluatesARejectedSubscriptionAgainButNotAnUnknownChannel(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	for range 2 {
		b.subscribe("reject me")
		b.expect(`{"identifier":"reject me","type":"reject_subscription"}`)
	}
	b.subscribe("unknown")
	b.subscribe("echo")
	b.expect(confirmed("echo")) // so Rails has answered for the unknown one
	for range 2 {
		b.subscribe("unknown")
		b.subscribe("echo")
	}
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	b.expect(message("echo", "1"))
	if n := frames(w.rails, "unknown"); n != 1 {
		t.Fatalf("Rails was called %d times for an unknown channel", n)
	}
}

func TestConnection_RunsCommandsInOrderAndBatchesQueuedOnes(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	for i := range 200 {
		b.send(fmt.Sprintf(`{"command":"message","identifier":"echo","data":"%d"}`, i))
	}
	for i := range 200 {
		b.expect(message("echo", fmt.Sprint(i)))
	}
	if n := len(w.rails.made(rpc.Frames)); n > 150 {
		t.Errorf("%d calls for 201 commands", n)
	}
}

func TestConnection_RepeatsTheCallInFullIfRailsDoesNotKnowIt(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Request == nil {
			return map[string]any{"need": "state"}
		}
		return behave(call)
	})
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	b.expect(message("chat room", "1"))
	calls := w.rails.made(rpc.Frames)
	full := calls[len(calls)-1]
	if full.State != "s" || full.Protocol != "actioncable-v1-json" || !strings.Contains(string(full.Request), `/cable"`) {
		t.Fatalf("the full call lacks something: %+v", full)
	}
}

func TestConnection_WaitsWhileRailsRestarts(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	address := w.rails.Listener.Addr().String()
	w.rails.CloseClientConnections()
	w.rails.Server.Close() // also waits for dials that have begun
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	time.Sleep(300 * time.Millisecond) // the outage, of any length
	listener := listenOn(t, address)
	again := &http.Server{Handler: w.rails}
	go again.Serve(listener)
	t.Cleanup(func() { again.Close() })
	b.expect(message("echo", "1"))
	b.ws.Close()
	w.eventually("Rails has run the disconnect callbacks", func() bool { return len(w.rails.made(rpc.Close)) == 1 })
}

func TestConnection_HasTheBrowserReconnectWhenRailsIsGone(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.CallWait = 200 * time.Millisecond })
	b := w.welcomed()
	w.rails.Server.Close() // also waits for dials that have begun
	w.rails.Cut()
	b.subscribe("echo")
	b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
	b.expectClose(websocket.CloseNormalClosure)
	w.eventually("the lost close call is counted", func() bool { return w.server.Stats().DisconnectsLost == 1 })
}

func TestConnection_ClosesForEveryBrowserOfTheUserAtARemoteDisconnect(t *testing.T) {
	w := newWorld(t)
	browsers := []*browser{w.welcomed(), w.welcomed(), w.welcomed()}
	w.source.publish <- [2]string{"action_cable/user", `{"type":"disconnect","reconnect":false}`}
	for _, b := range browsers {
		b.expect(`{"type":"disconnect","reason":"remote","reconnect":false}`)
		b.expectClose(websocket.CloseNormalClosure)
	}
	w.eventually("Rails has run all disconnect callbacks", func() bool { return len(w.rails.made(rpc.Close)) == 3 })
	w.eventually("the internal stream is unsubscribed", func() bool { return !w.source.has("action_cable/user") })
}

func TestConnection_RunsCommandsThatTheBrowserSentBeforeItLeft(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		time.Sleep(30 * time.Millisecond)
		return behave(call)
	})
	b := w.welcomed()
	b.subscribe("echo")
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	b.ws.Close()
	w.eventually("Rails has run the disconnect callbacks", func() bool { return len(w.rails.made(rpc.Close)) == 1 })
	if frames(w.rails, "subscribe") != 1 || frames(w.rails, "message") != 1 {
		t.Fatal("a command was lost")
	}
}

func TestConnection_ClosesWithRailsCodesForBadMessages(t *testing.T) {
	for what, c := range map[string]struct {
		kind int
		text string
		code int
	}{
		"too long":      {websocket.TextMessage, strings.Repeat("x", 5000), websocket.CloseMessageTooBig},
		"invalid UTF-8": {websocket.TextMessage, "\xff\xfe", websocket.CloseInvalidFramePayloadData},
	} {
		t.Run(what, func(t *testing.T) {
			b := newWorld(t).welcomed()
			b.ws.WriteMessage(c.kind, []byte(c.text))
			b.expectClose(c.code)
		})
	}
}

func TestConnection_IgnoresBinaryMessagesAndAnswersPings(t *testing.T) {
	b := newWorld(t).welcomed()
	pong := make(chan string, 1)
	b.ws.SetPongHandler(func(data string) error { pong <- data; return nil })
	b.ws.WriteMessage(websocket.BinaryMessage, []byte(`{"command":"subscribe","identifier":"echo"}`))
	b.ws.WriteControl(websocket.PingMessage, []byte("here?"), time.Now().Add(patience.Deadline))
	b.subscribe("echo 2")
	b.expect(confirmed("echo 2"))
	if got := <-pong; got != "here?" {
		t.Fatalf("pong %q", got)
	}
}

func TestServer_RejectsSubscriptionsOverTheLimit(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	for i := range 10 {
		b.subscribe(fmt.Sprint("echo", i))
		b.expect(confirmed(fmt.Sprint("echo", i)))
	}
	b.subscribe("echo")
	b.expect(`{"identifier":"echo","type":"reject_subscription"}`)
}

func TestServer_RejectsConnectionsOverTheLimit(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.limits.Connections = 1 })
	w.welcomed()
	_, response, err := websocket.DefaultDialer.Dial(w.url, nil)
	if err == nil || response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Fatalf("%v %v", err, response)
	}
}

func TestServer_AnswersTheHandshakeAsRailsMiddlewareDoes(t *testing.T) {
	w := newWorld(t)
	for status, body := range map[int]string{301: "moved", 200: "back soon", 204: ""} {
		w.rails.onCall(func(railsCall) map[string]any {
			return map[string]any{"status": status, "headers": [][2]string{{"Location", "https://example.test/cable"}}, "body": body}
		})
		_, response, err := websocket.DefaultDialer.Dial(w.url, nil)
		if err == nil || response.StatusCode != status || response.Header.Get("Location") != "https://example.test/cable" {
			t.Fatalf("%v %v", err, response)
		}
		if got, _ := io.ReadAll(response.Body); string(got) != body {
			t.Errorf("%d: got %q", status, got)
		}
	}
}

// Clients from before Rails 6 do not know the disconnect frame.
func TestServer_SendsNoDisconnectFrameToOldClients(t *testing.T) {
	w := newWorld(t, func(s *setup) { s.skipDisconnectFrames = true })
	known := w.welcomed()
	known.send(`{"command":"message","identifier":"a","data":"1"}`)
	known.expect(message("a", "1"))
	w.eventually("it is closed as slow", func() bool { c := w.only(); c.Slow(); return c != nil })
	known.expectClose(websocket.CloseNormalClosure)

	w = newWorld(t)
	ws, _, err := websocket.DefaultDialer.Dial(w.url, nil) // offers no sub-protocol
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	unknown := &browser{t, ws}
	unknown.expect(`{"type":"welcome"}`)
	w.only().Slow()
	unknown.expectClose(websocket.CloseNormalClosure)
	for _, reconnect := range []string{"false", "true"} { // Rails sends this frame to every client
		ws, _, err = websocket.DefaultDialer.Dial(w.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.Close()
		unknown = &browser{t, ws}
		unknown.expect(`{"type":"welcome"}`)
		w.source.publish <- [2]string{"action_cable/user", `{"type":"disconnect","reconnect":` + reconnect + `}`}
		unknown.expect(`{"type":"disconnect","reason":"remote","reconnect":` + reconnect + `}`)
		unknown.expectClose(websocket.CloseNormalClosure)
	}
}

func TestServer_DisconnectsEveryBrowserWhenItIsStopped(t *testing.T) {
	w := newWorld(t)
	browsers := []*browser{w.welcomed(), w.welcomed()}
	ctx, cancel := context.WithTimeout(context.Background(), patience.Deadline)
	defer cancel()
	if left, err := w.server.Drain(ctx, 0); err != nil {
		t.Fatal(left, err)
	}
	for _, b := range browsers {
		b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
		b.expectClose(websocket.CloseNormalClosure)
	}
	if n := len(w.rails.made(rpc.Close)); n != 2 {
		t.Fatalf("Rails has run the disconnect callbacks of %d connections", n)
	}
}

// frames counts the commands with word in them that have reached Rails.
func frames(r *rails, word string) (n int) {
	for _, call := range r.made(rpc.Frames) {
		for _, text := range call.Frames {
			if strings.Contains(text, word) {
				n++
			}
		}
	}
	return n
}

// withoutState is an app whose results say that the state follows.
func withoutState(call railsCall) map[string]any {
	result := behave(call)
	delete(result, "state")
	delete(result, "kept")
	return result
}

// Another process gets the state that this one hands over, even right after the result of a call.
func TestConnection_KeepsTheStateThatRailsHandsOver(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		link := w.rails.Links()[0]
		switch call.Do {
		case rpc.Open:
			link.End(call, `{"status":200,"ver":"1","tags":["t"],"ops":[["welcome"]]}`)
			link.Write(`{"kept":"` + call.Connection + `","ver":"1","state":"of the connection"}`)
		case rpc.Frames:
			link.End(call, `{"status":200,"ver":"2","ops":[["confirm","echo"]],"channels":{"echo":{}}}`)
			link.Write(`{"kept":"` + call.Connection + `","ver":"1","state":"of before"}`)
			link.Write(`{"kept":"` + call.Connection + `","ver":"2","channels":{"echo":{"state":"of the channel"}},"warnings":["w"]}`)
		}
		return nil
	})
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	w.eventually("the state has arrived", func() bool { return w.server.Stats().Warnings == 1 })
	w.rails.onCall(behave)
	w.restartRails()
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	b.expect(message("echo", "1"))
	call := w.rails.made(rpc.Frames)[1]
	if call.State != "of the connection" || !strings.Contains(string(call.Channels), `"of the channel"`) {
		t.Errorf("another process got %q and %s", call.State, call.Channels)
	}
}

func TestConnection_ReconnectsIfTheLatestStateIsLost(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(withoutState)
	b := w.welcomed()
	b.subscribe("echo")
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	b.expect(confirmed("echo"), message("echo", "1"))
	w.rails.onCall(func(railsCall) map[string]any { return map[string]any{"need": "state"} })
	b.send(`{"command":"message","identifier":"echo","data":"2"}`)
	b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
	w.rails.onCall(behave)
}

// No process can rebuild the objects, so the browser's last commands do not run either.
func TestConnection_RunsNothingAfterItsStateIsLostAndItIsClosed(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(withoutState)
	b := w.welcomed()
	w.eventually("it is open", func() bool { return w.server.Stats().Stale == 1 })
	release := make(chan struct{})
	w.rails.onCall(func(call railsCall) map[string]any {
		<-release
		return map[string]any{"need": "state"}
	})
	b.subscribe("echo")
	b.ws.Close()
	w.eventually("it is closed", func() bool { return w.server.Stats().Ends["browser_closed"]+w.server.Stats().Ends["browser_lost"] == 1 })
	close(release)
	w.eventually("it is gone", func() bool { return w.server.Stats().Connections == 0 })
	for _, call := range w.rails.made(rpc.Frames) {
		if call.Request != nil {
			t.Error("Rails was called to rebuild a connection without its state")
		}
	}
	if stale := w.server.Stats().Stale; stale != 0 {
		t.Errorf("%d connections count as stale", stale)
	}
}

func TestConnection_SubscribesAfterAnUnsubscribeOfNothing(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Frames {
			time.Sleep(30 * time.Millisecond)
		}
		return behave(call)
	})
	b := w.welcomed()
	for i := range 3 {
		b.send(`{"command":"unsubscribe","identifier":"echo"}`)
		b.send(`{"command":"unsubscribe","identifier":"echo"}`)
		w.eventually("they have arrived", func() bool { return w.server.Stats().Commands["unsubscribe"] == int64(2*i+2) })
		b.subscribe("echo")
		b.expect(confirmed("echo"))
	}
}

func TestConnection_RunsDisconnectCallbacksAfterAFailedCall(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	w.rails.onCall(func(call railsCall) map[string]any {
		switch {
		case call.Do != rpc.Frames:
			return behave(call)
		case call.Request == nil:
			return map[string]any{"need": "state"}
		}
		return map[string]any{"status": 200, "error": map[string]any{"kind": "lost", "message": "a block is gone"}}
	})
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
	w.eventually("Rails has run the disconnect callbacks", func() bool { return len(w.rails.made(rpc.Close)) == 1 })
}

func TestConnection_ConfirmsIfItsStreamIsStoppedBeforeItIsLive(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		if call.Do == rpc.Frames && strings.Contains(call.Frames[0], "message") {
			result["ops"] = []any{[]any{"unsub", "chat room", "room"}, []any{"message", "chat room", 1}}
			result["channels"] = map[string]any{"chat room": map[string]any{}}
		}
		return result
	})
	b := w.welcomed()
	w.source.hold()
	b.subscribe("chat room")
	w.eventually("the stream is subscribed", func() bool { return w.source.has("room") })
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	b.expect(message("chat room", "1"), confirmed("chat room"))
}

func TestConnection_SubscribesAgainAfterRailsHasRemovedTheSubscription(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		if call.Do == rpc.Frames && strings.Contains(call.Frames[0], "message") { // an action that calls subscriptions.remove_subscription(self)
			result["channels"] = map[string]any{"echo": nil}
		}
		return result
	})
	for range 2 {
		b.subscribe("echo")
		b.expect(confirmed("echo"))
		b.send(`{"command":"message","identifier":"echo","data":"1"}`)
		b.expect(message("echo", "1"))
	}
}

// Streams that a Rails thread opens after the call belong in the connection's record, too.
func TestConnection_UpdatesItsRecordAfterLateEffects(t *testing.T) {
	w := newWorld(t)
	b := w.welcomed()
	b.subscribe("echo")
	b.expect(confirmed("echo"))
	w.rails.Links()[0].Write(`{"conn":"n:1","ops":[["sub","echo","later",null]]}`)
	w.eventually("the stream is subscribed", func() bool { return w.source.has("later") })
	w.eventually("the change has been reported to the lease", func() bool {
		c := w.server.connections["n:1"]
		c.mu.Lock()
		defer c.mu.Unlock()
		return !c.recordChanged
	})
}

func TestConnection_CallsTheHeartbeatOfAnAppThatOverridesIt(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		if call.Do == rpc.Open {
			result["beat"] = 0.05
		}
		return result
	})
	b := w.welcomed()
	w.eventually("the app's beat has run three times", func() bool { return len(w.rails.made(rpc.Beat)) >= 3 })
	b.ws.Close()
	w.eventually("Rails has run the disconnect callbacks", func() bool { return len(w.rails.made(rpc.Close)) == 1 })
}

func (b *browser) sendClose(payload []byte) {
	b.ws.WriteControl(websocket.CloseMessage, payload, time.Now().Add(patience.Deadline))
}

func TestConnection_PassesTheCloseCodeToRails(t *testing.T) {
	for want, ends := range map[string]func(*browser){
		`"code":4001,"text":"bye"}`: func(b *browser) { b.sendClose(websocket.FormatCloseMessage(4001, "bye")) },
		`"code":1000}`:              func(b *browser) { b.sendClose(nil) },
		`"code":1006}`:              func(b *browser) { b.ws.NetConn().Close() },
		`"code":1002,"text":"RSV1 set","failed":true}`: func(b *browser) { b.ws.NetConn().Write([]byte{0xc1, 0x80, 0, 0, 0, 0}) },
	} {
		w := newWorld(t)
		ends(w.welcomed())
		w.eventually("Rails has run the disconnect callbacks", func() bool { return len(w.rails.made(rpc.Close)) == 1 })
		if text := string(w.rails.made(rpc.Close)[0].Text); !strings.HasSuffix(text, want) {
			t.Errorf("got %s, want …%s", text, want)
		}
	}
}

func TestConnection_CountsAConnectThatRaisesSeparately(t *testing.T) {
	for raised, reason := range map[bool]string{true: "connect_failed", false: "rails_closed"} {
		w := newWorld(t)
		w.rails.onCall(func(call railsCall) map[string]any {
			result := map[string]any{"status": 200, "ver": "1", "kept": true}
			if call.Do == rpc.Open {
				result["ops"] = []any{[]any{"disconnect", "server_restart", true}}
				result["raised"] = raised
			}
			return result
		})
		b := w.browser()
		b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
		w.eventually("it is counted as "+reason, func() bool { return w.server.Stats().Ends[reason] == 1 })
	}
}
