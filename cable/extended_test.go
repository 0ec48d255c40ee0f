package cable

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/protocol"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

// kept is a history that the test controls: each read returns what the test sends to the channel reads.
type kept struct {
	asked chan protocol.History
	reads chan kept1
}

type kept1 struct {
	entries []history.Entry
	err     error
}

func (k *kept) Read(ctx context.Context, _ []string, request protocol.History) ([]history.Entry, map[string]protocol.Position, error) {
	k.asked <- request
	select {
	case read := <-k.reads:
		reached := map[string]protocol.Position{}
		maps.Copy(reached, request.Streams)
		for _, entry := range read.entries {
			reached[entry.Stream] = entry.Position
		}
		return read.entries, reached, read.err
	case <-ctx.Done():
		return nil, nil, history.ErrUnavailable
	}
}

func (k *kept) Keeps(stream string) bool { return stream == "room" || stream == "lobby" }

func newHistoryWorld(t *testing.T) (*world, *kept) {
	k := &kept{asked: make(chan protocol.History, 10), reads: make(chan kept1)}
	return newWorld(t, func(s *setup) { s.history = k }), k
}

// newHistoryRoom is a world with a browser in the room, which has the broadcast of that number.
func newHistoryRoom(t *testing.T, number int) (*world, *kept, *browser) {
	t.Helper()
	w, k := newHistoryWorld(t)
	b := w.extendedInRoom()
	w.publishNumbered(number)
	b.expect(numbered(number))
	return w, k, b
}

// extended opens a connection that speaks actioncable-v1-ext-json.
func (w *world) extended() *browser {
	w.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{protocol.V1ExtJSON}}
	ws, response, err := dialer.Dial(w.url, nil)
	if err != nil {
		w.Fatalf("handshake: %v %v", err, response)
	}
	if ws.Subprotocol() != protocol.V1ExtJSON {
		w.Fatalf("sub-protocol %q", ws.Subprotocol())
	}
	b := &browser{w.T, ws}
	w.Cleanup(func() { ws.Close() })
	b.expect(`{"type":"welcome"}`)
	return b
}

// extendedInRoom is extended, and subscribes to the chat room.
func (w *world) extendedInRoom() *browser {
	w.Helper()
	b := w.extended()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	return b
}

const epoch = "00000000000000e1"

// numberedPayload is a payload as the gem publishes it.
func numberedPayload(payload string, offset int) string { return numberedIn(epoch, payload, offset) }

func numberedIn(epoch, payload string, offset int) string {
	payload += "\t \t \n\r\n\r"
	for _, hex := range epoch + fmt.Sprintf("%016x", offset) {
		value := strings.IndexRune("0123456789abcdef", hex)
		payload += string(" \t\n\r"[value/4]) + string(" \t\n\r"[value%4])
	}
	return payload
}

// numbered is the frame for a message whose payload is its offset.
func numbered(offset int) string {
	return fmt.Sprintf(`{"identifier":"chat room","message":%d,"stream_id":"room","epoch":%q,"offset":%[1]d}`, offset, epoch)
}

func keptEntry(offset int) history.Entry {
	return history.Entry{Stream: "room", Payload: []byte(fmt.Sprint(offset)), Position: protocol.Position{Epoch: epoch, Offset: uint64(offset)}}
}

func (w *world) publishNumbered(offset int) {
	w.source.publish <- [2]string{"room", numberedPayload(fmt.Sprint(offset), offset)}
}

// ops has Rails send effects on the only connection.
func (w *world) ops(ops string) {
	w.rails.Links()[0].Write(`{"conn":"` + w.rails.made(rpc.Open)[0].Connection + `","ops":` + ops + `}`)
}

// held waits until so many broadcasts are held during a replay.
func (w *world) held(count int) {
	w.Helper()
	w.eventually("broadcasts are held", func() bool {
		return slices.ContainsFunc(w.server.all(), func(c *Connection) bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			s := c.subscriptions.find("chat room")
			return s != nil && s.replay != nil && len(s.replay.held) == count
		})
	})
}

// allowRequest has the browser's next request not be too soon after the last one.
func (w *world) allowRequest() { w.askedIn(0) }

// askedIn sets the second in which the browser's last history was read.
func (w *world) askedIn(second uint32) {
	c := w.only()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscriptions.find("chat room").historyAsked = second
}

func (b *browser) requestHistory(request string) {
	b.send(`{"command":"history","identifier":"chat room","history":` + request + `}`)
}

const confirmedHistory, rejectedHistory = `{"identifier":"chat room","type":"confirm_history"}`, `{"identifier":"chat room","type":"reject_history"}`

// unread fails the test if a history was read.
func (k *kept) unread(t *testing.T) {
	t.Helper()
	select {
	case request := <-k.asked:
		t.Errorf("read %+v", request)
	default:
	}
}

func (w *world) expectHistories(outcome string) {
	w.Helper()
	w.eventually(outcome+" is counted", func() bool { return w.server.Stats().Histories[outcome] == 1 })
}

func (b *browser) subscribeWithHistory(request string) {
	b.send(`{"command":"subscribe","identifier":"chat room","history":` + request + `}`)
}

const since12 = `{"since":1795451915,"streams":{"room":{"offset":12,"epoch":"` + epoch + `"}}}`

func TestExtended_OnlySuchBrowsersGetNumbers(t *testing.T) {
	w, _ := newHistoryWorld(t)
	extended, plain := w.extended(), w.welcomed()
	for _, b := range []*browser{extended, plain} {
		b.subscribe("chat room")
		b.expect(confirmed("chat room"))
	}
	w.publishNumbered(1)
	w.source.publish <- [2]string{"room", `"x"`}
	w.source.publish <- [2]string{"room", `bad`}
	w.publishNumbered(2)
	extended.expect(numbered(1), message("chat room", `"x"`), numbered(2))
	plain.expect(message("chat room", "1"), message("chat room", `"x"`), message("chat room", "2"))
	if protocols := w.rails.made("open"); protocols[0].Protocol != protocol.V1JSON {
		t.Errorf("Rails was told of %q", protocols[0].Protocol)
	}
}

// The conversation as AnyCable documents it (docs/history.md lists the parts).
func TestExtended_SpeaksTheDocumentedProtocol(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended() // its welcome has no sid, so the client restores no session
	b.subscribeWithHistory(`{"since":1795451915}`)
	b.expect(confirmed("chat room"))
	if request := <-k.asked; request.Since != 1795451915 || len(request.Streams) > 0 {
		t.Errorf("got %+v", request)
	}
	k.reads <- kept1{entries: []history.Entry{keptEntry(1), keptEntry(2)}}
	b.expect(numbered(1), numbered(2), confirmedHistory)
	w.publishNumbered(3)
	b.expect(numbered(3))
	w.allowRequest()
	b.requestHistory(`{"since":1795451915,"streams":{"room":{"offset":3,"epoch":"` + epoch + `"}}}`)
	<-k.asked
	k.reads <- kept1{err: history.ErrIncomplete}
	b.expect(rejectedHistory)
	b.send(`{"command":"message","identifier":"chat room","data":"1"}`)
	b.expect(message("chat room", "1"))
	b.send(`{"command":"subscribe","identifier":"reject room","history":{"since":1795451915}}`)
	b.expect(rejected("reject room"))
	b.send(`{"command":"pong"}`)
	b.send(`{"command":"whisper","identifier":"chat room","data":{"typing":true}}`)
	b.send(`{"command":"join","identifier":"chat room","presence":{"id":"u7","info":{}}}`)
	b.send(`{"command":"leave","identifier":"chat room","presence":{"id":"u7"}}`)
	b.send(`{"command":"presence","identifier":"chat room","data":{"return_records":false}}`)
	b.send(`{"command":"ping"}`)
	b.expect(string(protocol.NoPresence("chat room")), protocol.Pong)
	b.send(`{"command":"unsubscribe","identifier":"chat room"}`)
	w.eventually("the stream is left", func() bool { return !w.source.has("room") })
	k.unread(t)
}

// Broadcasts that arrive while the history is read follow it, and nothing comes twice.
func TestHistory_ComesBeforeWhatIsBroadcastMeanwhile(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	if request := <-k.asked; request.Since != 1795451915 || request.Streams["room"] != (protocol.Position{Epoch: epoch, Offset: 12}) {
		t.Errorf("got %+v", request)
	}
	w.publishNumbered(14)
	w.publishNumbered(15)
	w.held(2)
	k.reads <- kept1{entries: []history.Entry{keptEntry(13), keptEntry(14)}}
	b.expect(numbered(13), numbered(14), string(protocol.ConfirmHistory("chat room")), numbered(15))
	w.publishNumbered(16)
	b.expect(numbered(16))
	w.expectHistories(historySent)

	// The browser can ask again.
	w.allowRequest()
	b.requestHistory(`{"streams":{"room":{"offset":16,"epoch":"` + epoch + `"}}}`)
	<-k.asked
	k.reads <- kept1{}
	b.expect(string(protocol.ConfirmHistory("chat room")))
}

// The source of broadcasts may have had a gap.
func TestHistory_FillsAGapUnderAnOpenConnection(t *testing.T) {
	w, k, b := newHistoryRoom(t, 12)
	w.publishNumbered(15)
	if request := <-k.asked; request.Since != 0 || request.Streams["room"].Offset != 12 {
		t.Errorf("got %+v", request)
	}
	k.reads <- kept1{entries: []history.Entry{keptEntry(13), keptEntry(14), keptEntry(15)}}
	b.expect(numbered(13), numbered(14), numbered(15), string(protocol.ConfirmHistory("chat room")))
}

// A broadcast that leaves out the page has a number too, so that there is no gap, live or in a history.
func TestHistory_ABroadcastToOthersIsNoGap(t *testing.T) {
	w, k := newHistoryWorld(t)
	address := w.url
	w.url += "?catenary_page=0123456789abcdef"
	b := w.extended()
	w.url = address
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	mine := keptEntry(13)
	mine.Payload = append(mine.Payload, pageMark...)
	k.reads <- kept1{entries: []history.Entry{mine}}
	b.expect(string(protocol.ConfirmHistory("chat room")))
	w.source.publish <- [2]string{"room", numberedPayload("14"+pageMark, 14)}
	w.publishNumbered(15)
	b.expect(numbered(15))
}

func TestHistory_IsRejected(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	w.publishNumbered(14)
	w.held(1)
	k.reads <- kept1{err: history.ErrIncomplete}
	b.expect(string(protocol.RejectHistory("chat room")), numbered(14))
	w.expectHistories("incomplete")

	for _, request := range []string{`null`, `5`, `{"streams":{"room":{"offset":-1,"epoch":"e"}}}`} {
		w.allowRequest()
		b.requestHistory(request)
		b.expect(rejectedHistory)
	}
	w.allowRequest()
	b.requestHistory(`{"streams":{"elsewhere":{"offset":1,"epoch":"e"},"nowhere":{"offset":1,"epoch":"e"}}}`)
	<-k.asked
	k.reads <- kept1{}
	b.expect(string(protocol.ConfirmHistory("chat room")))
	w.expectHistories(historyForeign)
}

func TestHistory_WithoutOneEveryRequestIsRejected(t *testing.T) {
	b := newWorld(t).extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"), string(protocol.RejectHistory("chat room")))
}

// The subscription may be gone when the history has been read.
func TestHistory_OfASubscriptionThatIsGoneIsNotSent(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	b.send(`{"command":"unsubscribe","identifier":"chat room"}`)
	b.send(`{"command":"message","identifier":"echo","data":"1"}`)
	b.expect(message("echo", "1"))
	k.reads <- kept1{entries: []history.Entry{keptEntry(13)}}
	b.send(`{"command":"message","identifier":"echo","data":"2"}`)
	b.expect(message("echo", "2"))
}

// Held broadcasts count as unsent data of a slow browser.
func TestHistory_WhatIsHeldIsBounded(t *testing.T) {
	k := &kept{asked: make(chan protocol.History, 1), reads: make(chan kept1)}
	w := newWorld(t, func(s *setup) { s.history, s.limits.Socket.PendingBytes = k, 1000 })
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	w.source.publish <- [2]string{"room", `"` + strings.Repeat("x", 1000) + `"`}
	b.expect(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
	k.reads <- kept1{}
}

func TestExtended_CommandsNeverReachRails(t *testing.T) {
	w := newWorld(t)
	b := w.extended()
	for _, command := range []string{"pong", "whisper", "join", "leave", "history"} {
		b.send(`{"command":"` + command + `","identifier":"chat room"}`)
	}
	b.send(`{"command":"presence","identifier":"chat room"}`)
	b.send(`{"command":"ping"}`)
	b.expect(rejectedHistory) // there is no such subscription
	b.expect(string(protocol.NoPresence("chat room")), protocol.Pong)
	if calls := w.rails.made("frames"); len(calls) > 0 {
		t.Errorf("Rails got %v", calls)
	}
}

// What a browser may read, the channel decides.
func TestHistory_IsNotReadBeforeTheConfirmation(t *testing.T) {
	w, k := newHistoryWorld(t)
	running := make(chan railsCall, 1)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do != rpc.Frames {
			return behave(call)
		}
		w.rails.Links()[0].Write(fmt.Sprintf(`{"call":%d,"ops":[["sub","chat room","room",null]]}`, call.Number))
		running <- call
		return nil
	})
	b := w.extended()
	b.subscribe("chat room")
	w.eventually("the channel streams", func() bool { return w.source.has("room") })
	b.requestHistory(since12)
	b.send(`{"command":"ping"}`)
	b.expect(rejectedHistory, protocol.Pong)
	w.rails.Links()[0].End(<-running, `{"status":200,"ver":"1","state":"s","kept":true,"ops":[["reject","chat room"]],"channels":{"chat room":null}}`)
	b.expect(rejected("chat room"))
	b.requestHistory(since12)
	b.expect(rejectedHistory)
	k.unread(t)
	w.eventually("both are counted", func() bool { return w.server.Stats().Histories[historyEarly] == 2 })
}

// The channel's subscribed may raise.
func TestHistory_IsRejectedWithoutAConfirmation(t *testing.T) {
	w, k := newHistoryWorld(t)
	answer := make(chan bool)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		if call.Do == rpc.Frames {
			w.rails.Links()[0].Write(fmt.Sprintf(`{"call":%d,"ops":[["sub","chat room","room",null]]}`, call.Number))
			<-answer
			result["ops"] = []any{}
		}
		return result
	})
	b := w.extended()
	b.subscribeWithHistory(since12)
	w.eventually("the channel streams", func() bool { return w.source.has("room") })
	w.publishNumbered(14)
	w.held(1)
	close(answer)
	b.expect(rejectedHistory, numbered(14))
	w.publishNumbered(15)
	b.expect(numbered(15))
	c := w.only()
	c.mu.Lock()
	if c.subscriptions.find("chat room").replay != nil {
		t.Error("the request is kept")
	}
	c.mu.Unlock()
	k.unread(t)
}

func TestHistory_ALongRequestIsRejected(t *testing.T) {
	w, k := newHistoryWorld(t)
	streams := map[string]protocol.Position{}
	for i := range 101 {
		streams[fmt.Sprint(i)] = protocol.Position{Epoch: "e", Offset: 1}
	}
	request, _ := json.Marshal(map[string]any{"streams": streams})
	b := w.extended()
	b.subscribeWithHistory(string(request))
	b.expect(confirmed("chat room"), rejectedHistory)
	k.unread(t)
	w.expectHistories(historyInvalid)
}

func TestHistory_AStreamThatWasStoppedAndStartedHasNoGap(t *testing.T) {
	w, k, b := newHistoryRoom(t, 12)
	w.ops(`[["unsub","chat room","room"]]`)
	w.eventually("it is stopped", func() bool { return !w.source.has("room") })
	w.ops(`[["sub","chat room","room",null]]`)
	w.eventually("it is started", func() bool { return w.source.has("room") })
	w.publishNumbered(21)
	b.expect(numbered(21))
	k.unread(t)
}

// The request of a subscribe outlives the subscription before it.
func TestHistory_OfASubscribeAfterAnUnsubscribeIsAnswered(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extendedInRoom()
	ending := make(chan railsCall, 1)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Frames && strings.Contains(call.Frames[0], "unsubscribe") {
			ending <- call
			return nil
		}
		return behave(call)
	})
	b.send(`{"command":"unsubscribe","identifier":"chat room"}`)
	b.subscribeWithHistory(since12)
	b.send(`{"command":"ping"}`)
	b.expect(protocol.Pong)
	w.publishNumbered(13)
	w.held(1)
	w.rails.Links()[0].End(<-ending, `{"status":200,"ver":"1","state":"s","kept":true,"ops":[["unsub","chat room","room"]],"channels":{"chat room":null}}`)
	b.expect(confirmed("chat room"))
	<-k.asked
	w.held(0)
	k.reads <- kept1{entries: []history.Entry{keptEntry(13)}}
	b.expect(numbered(13), confirmedHistory)
}

// The same gap may be in several streams of a subscription.
func TestHistory_FillsAGapInEachStream(t *testing.T) {
	w, k := newHistoryWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		result := behave(call)
		if call.Do == rpc.Frames {
			result["ops"] = append([]any{[]any{"sub", "chat room", "lobby", nil}}, result["ops"].([]any)...)
		}
		return result
	})
	b := w.extendedInRoom()
	inLobby := func(offset int) string {
		return strings.Replace(numbered(offset), `"stream_id":"room"`, `"stream_id":"lobby"`, 1)
	}
	publishInLobby := func(offset int) {
		w.source.publish <- [2]string{"lobby", numberedPayload(fmt.Sprint(offset), offset)}
	}
	w.publishNumbered(12)
	b.expect(numbered(12))
	publishInLobby(5)
	b.expect(inLobby(5))
	w.publishNumbered(14)
	if request := <-k.asked; len(request.Streams) != 1 || request.Streams["room"].Offset != 12 {
		t.Errorf("got %+v", request)
	}
	publishInLobby(7)
	w.held(2)
	k.reads <- kept1{entries: []history.Entry{keptEntry(13), keptEntry(14)}}
	b.expect(numbered(13), numbered(14), confirmedHistory)
	if request := <-k.asked; request.Streams["lobby"].Offset != 5 || request.Streams["room"].Offset != 14 {
		t.Errorf("got %+v", request)
	}
	missed := keptEntry(6)
	missed.Stream = "lobby"
	k.reads <- kept1{entries: []history.Entry{missed}}
	b.expect(inLobby(6), confirmedHistory, inLobby(7))
}

func TestHistory_FillsAGapBeforeTheFirstBroadcast(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	k.reads <- kept1{}
	b.expect(confirmedHistory)
	w.publishNumbered(15)
	if request := <-k.asked; request.Streams["room"].Offset != 12 {
		t.Errorf("got %+v", request)
	}
	k.reads <- kept1{entries: []history.Entry{keptEntry(13), keptEntry(14), keptEntry(15)}}
	b.expect(numbered(13), numbered(14), numbered(15), confirmedHistory)
}

func TestHistory_FillsAGapAtTheStartOfAnEpoch(t *testing.T) {
	w, k, b := newHistoryRoom(t, 12)
	const next = "00000000000000e2"
	w.source.publish <- [2]string{"room", numberedIn(next, "4", 4)}
	if request := <-k.asked; request.Streams["room"] != (protocol.Position{Epoch: next}) {
		t.Errorf("got %+v", request)
	}
	k.reads <- kept1{err: history.ErrIncomplete}
	b.expect(rejectedHistory, strings.Replace(numbered(4), epoch, next, 1))
	w.source.publish <- [2]string{"room", numberedIn("00000000000000e3", "1", 1)} // no gap
	b.expect(strings.Replace(numbered(1), epoch, "00000000000000e3", 1))
	k.unread(t)
}

// What the source misses at the end of an epoch, no number shows.
func TestHistory_AGapBeforeAnEpochIsReported(t *testing.T) {
	w, k, b := newHistoryRoom(t, 12)
	const next = "00000000000000e2"
	w.server.GapBegan()
	w.source.publish <- [2]string{"room", numberedIn(next, "1", 1)}
	if request := <-k.asked; request.Streams["room"] != (protocol.Position{Epoch: epoch, Offset: 12}) {
		t.Errorf("got %+v", request)
	}
	k.reads <- kept1{err: history.ErrUnknown}
	b.expect(rejectedHistory, strings.Replace(numbered(1), epoch, next, 1))
	w.server.GapEnded(time.Now())
	<-k.asked // see the next test
	k.reads <- kept1{}
	b.expect(confirmedHistory)
	w.source.publish <- [2]string{"room", numberedIn("00000000000000e3", "1", 1)} // after the gap
	b.expect(strings.Replace(numbered(1), epoch, "00000000000000e3", 1))
	k.unread(t)
}

// The browser has received nothing so far, so no number shows the gap.
func TestHistory_FillsAGapOfTheSourceBeforeTheFirstBroadcast(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extendedInRoom()
	began := time.Now().Unix()
	w.server.GapBegan()
	w.publishNumbered(5)
	if request := <-k.asked; request.Since > began || request.Since < began-60 || len(request.Streams) > 0 {
		t.Errorf("got %+v", request)
	}
	k.reads <- kept1{entries: []history.Entry{keptEntry(4), keptEntry(5)}}
	b.expect(numbered(4), numbered(5), confirmedHistory)
	w.server.GapEnded(time.Now())
	<-k.asked
	k.reads <- kept1{}
	b.expect(confirmedHistory)
	late := w.extended()
	late.subscribe("chat room")
	late.expect(confirmed("chat room"))
	w.publishNumbered(6)
	b.expect(numbered(6))
	late.expect(numbered(6))
	k.unread(t)
}

// The page loads its state again, once.
func TestHistory_AGapIsReportedOnce(t *testing.T) {
	w, k, b := newHistoryRoom(t, 12)
	const next = "00000000000000e2"
	w.server.GapBegan()
	w.server.GapEnded(time.Now())
	<-k.asked
	k.reads <- kept1{err: history.ErrUnknown}
	b.expect(rejectedHistory)
	w.source.publish <- [2]string{"room", numberedIn(next, "1", 1)}
	b.expect(strings.Replace(numbered(1), epoch, next, 1))
	k.unread(t)
}

// The next number may come late, or never.
func TestHistory_IsReadAfterAGap(t *testing.T) {
	w, k := newHistoryWorld(t)
	b, plain, early := w.extendedInRoom(), w.welcomed(), w.extended()
	plain.subscribe("chat room")
	plain.expect(confirmed("chat room"))
	early.subscribe("talk elsewhere") // without a history
	early.expect(confirmed("talk elsewhere"))
	w.publishNumbered(12)
	b.expect(numbered(12))
	plain.expect(message("chat room", "12"))
	w.server.GapBegan()
	w.server.GapEnded(time.Unix(1795451915, 0))
	if request := <-k.asked; request.Streams["room"].Offset != 12 || request.Since != 1795451915 {
		t.Errorf("got %+v", request)
	}
	w.publishNumbered(14)
	w.held(1)
	k.reads <- kept1{entries: []history.Entry{keptEntry(13), keptEntry(14)}}
	b.expect(numbered(13), numbered(14), confirmedHistory)
	w.publishNumbered(15)
	b.expect(numbered(15))
	plain.expect(message("chat room", "14"), message("chat room", "15"))
	k.unread(t)
	early.send(`{"command":"ping"}`)
	early.expect(protocol.Pong)
}

// Otherwise broadcasts would arrive out of order, or nothing would be said.
func TestHistory_ARequestThatGoesBackOrComesTooEarlyIsRejected(t *testing.T) {
	w, k, b := newHistoryRoom(t, 14)
	b.requestHistory(since12)
	b.requestHistory(`{"since":1795451915}`)
	b.expect(rejectedHistory, rejectedHistory)
	k.unread(t)
	w.eventually("both are counted", func() bool { return w.server.Stats().Histories[historyBehind] == 2 })
	at14 := `{"streams":{"room":{"offset":14,"epoch":"` + epoch + `"}}}`
	b.requestHistory(at14)
	<-k.asked
	b.requestHistory(at14)
	b.expect(rejectedHistory) // one is read
	k.reads <- kept1{}
	b.expect(confirmedHistory)
	w.askedIn(uint32(time.Now().Add(time.Hour).Unix())) // however slow the test is
	b.requestHistory(at14)
	b.expect(rejectedHistory)
	k.unread(t)
}

func TestHistory_AConnectionReadsOneAtATime(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	b.send(`{"command":"subscribe","identifier":"talk room","history":` + since12 + `}`)
	b.expect(confirmed("talk room"))
	w.eventually("the second waits", func() bool {
		c := w.only()
		c.mu.Lock()
		defer c.mu.Unlock()
		r := c.subscriptions.find("talk room").replay
		return r != nil && r.due && !r.started
	})
	k.unread(t)
	k.reads <- kept1{}
	b.expect(confirmedHistory)
	<-k.asked
	k.reads <- kept1{}
	b.expect(string(protocol.ConfirmHistory("talk room")))
}

// As live, and their numbers are no gap.
func TestHistory_InvalidBroadcastsAreNotSent(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	bad := keptEntry(13)
	bad.Payload = []byte("{bad")
	k.reads <- kept1{entries: []history.Entry{bad}}
	b.expect(confirmedHistory)
	w.publishNumbered(14)
	b.expect(numbered(14))
	w.source.publish <- [2]string{"room", numberedPayload("{bad", 15)}
	w.publishNumbered(16)
	b.expect(numbered(16))
	k.unread(t)
}

func TestHistory_IsRejectedIfItsFramesAreTooLong(t *testing.T) {
	k := &kept{asked: make(chan protocol.History, 1), reads: make(chan kept1)}
	w := newWorld(t, func(s *setup) { s.history, s.limits.Socket.PendingBytes = k, 1000 })
	b := w.extended()
	b.subscribeWithHistory(since12)
	b.expect(confirmed("chat room"))
	<-k.asked
	w.publishNumbered(23)
	w.held(1)
	var entries []history.Entry
	for offset := 13; offset < 23; offset++ {
		entries = append(entries, keptEntry(offset))
	}
	k.reads <- kept1{entries: entries} // 20 bytes of payloads
	b.expect(rejectedHistory, numbered(23))
	w.expectHistories("too_long")
}

func TestExtended_DeliveriesAreCounted(t *testing.T) {
	w, _ := newHistoryWorld(t)
	b := w.extendedInRoom()
	w.source.publish <- [2]string{"room", "{bad"}
	w.publishNumbered(1)
	b.expect(numbered(1))
	w.eventually("both are counted", func() bool { return w.hub.Stats().Broadcasts == 2 })
	if stats := w.hub.Stats(); stats.Invalid != 1 || stats.Deliveries != 1 {
		t.Errorf("%d invalid, %d deliveries", stats.Invalid, stats.Deliveries)
	}
}
