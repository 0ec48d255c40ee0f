package relay

import (
	"encoding/json"
	"log/slog"
	"sync"
	"testing"

	"github.com/catenary-cable/catenary/protocol"
)

// What the app's own Action Cable says of some channels is given to the browser as it is, or not at all.
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
		var said struct {
			Type       any
			Identifier *string
		}
		readable := json.Unmarshal(text, &said) == nil
		if said.Type == "welcome" {
			t.Skip() // it has the subscriptions repeated, over a WebSocket
		}
		b := &browser{}
		u := relay.NewUpstream(t.Context(), b, &b.mu, nil, Limits{PendingBytes: 1 << 20})
		u.running = true
		u.mu.Lock()
		u.ask(protocol.Command{Kind: protocol.Subscribe, Identifier: held}, []byte("{}"))
		u.subscriptions[held].held = true
		u.mu.Unlock()
		u.take(text)
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, sent := range b.sent {
			if sent != string(text) {
				t.Errorf("%q became %q", text, sent)
			}
		}
		if readable && said.Identifier != nil && *said.Identifier != held && len(b.sent) > 0 {
			t.Errorf("%q was passed on, though the browser has not asked for it", text)
		}
	})
}

// browser keeps what it is sent.
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
