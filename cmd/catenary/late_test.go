package main

import (
	"testing"
	"time"
)

// TestLate_EffectsOfALongCommandDoNotWaitForItsEnd: what a channel does before it sleeps is seen before it wakes, with Rails as with
// catenary.
func TestLate_EffectsOfALongCommandDoNotWaitForItsEnd(t *testing.T) {
	const (
		identifier = `{"channel":"StreamChannel","s":["long"],"t":1,"sleep":1.5}`
		quoted     = `"{\"channel\":\"StreamChannel\",\"s\":[\"long\"],\"t\":1,\"sleep\":1.5}"`
	)
	for _, server := range servers() {
		t.Run(server, func(t *testing.T) {
			w, err := startWorld(server, "")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.close)
			b, err := dial(w.address, w.handshake("GET", "/cable", nil))
			if err != nil {
				t.Fatal(err)
			}
			defer b.close()
			expect := func(want string, within time.Duration) {
				t.Helper()
				if e, ok := nextFrame(b, within); !ok || e.text != want {
					t.Fatalf("got %q within %v and not %s", e, within, want)
				}
			}
			expect(`{"type":"welcome"}`, patience)
			b.send(command("subscribe", identifier, nil))
			expect(`{"identifier":`+quoted+`,"message":{"insub":1}}`, time.Second)
			if err := w.redis.do("PUBSUB NUMSUB long => 1"); err != nil {
				t.Fatal(err)
			}
			// Natively the stream is live, and confirmed when both its acknowledgement and the end of subscribed have come.
			if err := w.redis.do("PUBLISH long 1"); err != nil {
				t.Fatal(err)
			}
			expect(`{"identifier":`+quoted+`,"message":1}`, 900*time.Millisecond)
			expect(`{"identifier":`+quoted+`,"type":"confirm_subscription"}`, patience)
		})
	}
}
