package relay

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/protocol"
)

// FuzzUpstream checks that a message of the app reaches the browser unchanged or not at all.
func FuzzUpstream(f *testing.F) {
	const held = `{"channel":"A"}`
	for _, text := range []string{
		`{"type":"ping","message":1}`, `{"identifier":"{\"channel\":\"A\"}","type":"confirm_subscription"}`,
		`{"identifier":"{\"channel\":\"A\"}","type":"reject_subscription"}`, `{"identifier":"{\"channel\":\"A\"}","message":[1]}`,
		`{"type":"disconnect","reason":"remote","reconnect":true}`, `{"type":["disconnect"],"identifier":7}`, "{", "",
	} {
		f.Add([]byte(text))
	}
	relay, err := New("http://app.test", "A")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var message struct {
			Type       any
			Identifier *string
		}
		readable := json.Unmarshal(text, &message) == nil
		if message.Type == "welcome" {
			t.Skip() // a welcome writes to a WebSocket, and there is none
		}
		b := &browser{}
		u := relay.NewUpstream(t.Context(), b, &b.mu, nil, Limits{PendingBytes: 1 << 20})
		u.running = true
		u.mu.Lock()
		u.note(protocol.Command{Kind: protocol.Subscribe, Identifier: held}, []byte("{}"))
		u.subscriptions[held].held = true
		u.mu.Unlock()
		u.receive(text)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, sent := range b.sent {
			if sent != string(text) {
				t.Errorf("%q became %q", text, sent)
			}
		}
		if readable && message.Identifier != nil && *message.Identifier != held && len(b.sent) > 0 {
			t.Errorf("%q was passed on, but the browser has not subscribed", text)
		}
	})
}

// browser records what it is sent.
type browser struct {
	mu   sync.Mutex
	sent []string
}

func (b *browser) Send(text string)                 { b.sent = append(b.sent, text) }
func (b *browser) Admit(int) bool                   { return true }
func (b *browser) Close(int, string)                {}
func (b *browser) End(string, *protocol.Disconnect) {}
func (b *browser) Gone()                            {}
func (b *browser) Log() *slog.Logger                { return slog.New(slog.DiscardHandler) }
