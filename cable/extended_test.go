package cable

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cable/history"
	"github.com/catenary-cable/catenary/protocol"
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

func (k *kept) Read(ctx context.Context, _ []string, request protocol.History) ([]history.Entry, error) {
	k.asked <- request
	select {
	case read := <-k.reads:
		return read.entries, read.err
	case <-ctx.Done():
		return nil, history.ErrUnavailable
	}
}

func newHistoryWorld(t *testing.T) (*world, *kept) {
	k := &kept{asked: make(chan protocol.History, 10), reads: make(chan kept1)}
	return newWorld(t, func(s *setup) { s.history = k }), k
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

const epoch = "00000000000000e1"

// numberedPayload is a payload as the gem publishes it.
func numberedPayload(payload string, offset int) string {
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
	w.eventually("both are held", func() bool {
		c := w.only()
		c.mu.Lock()
		defer c.mu.Unlock()
		s := c.subscriptions.find("chat room")
		return s.replay != nil && len(s.replay.held) == 2
	})
	k.reads <- kept1{entries: []history.Entry{keptEntry(13), keptEntry(14)}}
	b.expect(numbered(13), numbered(14), string(protocol.ConfirmHistory("chat room")), numbered(15))
	w.publishNumbered(16)
	b.expect(numbered(16))
	w.expectHistories(historySent)

	// The browser can ask again.
	b.send(`{"command":"history","identifier":"chat room","history":` + since12 + `}`)
	<-k.asked
	k.reads <- kept1{}
	b.expect(string(protocol.ConfirmHistory("chat room")))
}

// The source of broadcasts may have had a gap.
func TestHistory_FillsAGapUnderAnOpenConnection(t *testing.T) {
	w, k := newHistoryWorld(t)
	b := w.extended()
	b.subscribe("chat room")
	b.expect(confirmed("chat room"))
	w.publishNumbered(12)
	b.expect(numbered(12))
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
	w.eventually("it is held", func() bool {
		c := w.only()
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.subscriptions.find("chat room").replay.held) == 1
	})
	k.reads <- kept1{err: history.ErrIncomplete}
	b.expect(string(protocol.RejectHistory("chat room")), numbered(14))
	w.expectHistories("incomplete")

	for _, request := range []string{`null`, `5`, `{"streams":{"room":{"offset":-1,"epoch":"e"}}}`} {
		b.send(`{"command":"history","identifier":"chat room","history":` + request + `}`)
		b.expect(string(protocol.RejectHistory("chat room")))
	}
	b.send(`{"command":"history","identifier":"chat room","history":{"streams":{"elsewhere":{"offset":1,"epoch":"e"}}}}`)
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
	b.expect(string(protocol.NoPresence("chat room")), protocol.Pong)
	if calls := w.rails.made("frames"); len(calls) > 0 {
		t.Errorf("Rails got %v", calls)
	}
}
