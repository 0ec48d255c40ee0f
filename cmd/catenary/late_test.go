package main

import (
	"strconv"
	"testing"
	"time"
)

// visit is welcomed by a server of its own, and expects what comes next, within a time.
func visit(t *testing.T, server string) (w *world, b *browser, expect func(want string, within time.Duration)) {
	t.Helper()
	w, err := startWorld(server, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	if b, err = dial(w.address, w.handshake("GET", "/cable", nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	expect = func(want string, within time.Duration) {
		t.Helper()
		if e, ok := nextFrame(b, within); !ok || e.text != want {
			t.Fatalf("got %q within %v and not %s", e, within, want)
		}
	}
	expect(welcome, patience)
	return w, b, expect
}

// TestLate_EffectsOfALongCommandDoNotWaitForItsEnd: what a channel does before it sleeps is seen before it wakes, with Rails as with
// catenary.
func TestLate_EffectsOfALongCommandDoNotWaitForItsEnd(t *testing.T) {
	const (
		identifier = `{"channel":"StreamChannel","s":["long"],"t":1,"sleep":1.5}`
		quoted     = `"{\"channel\":\"StreamChannel\",\"s\":[\"long\"],\"t\":1,\"sleep\":1.5}"`
	)
	for _, server := range servers() {
		t.Run(server, func(t *testing.T) {
			w, b, expect := visit(t, server)
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

// TestLate_AThreadIsHeardInOrder: what a thread of an action's does while the action ends, and thereafter, is seen in its order.
func TestLate_AThreadIsHeardInOrder(t *testing.T) {
	const (
		identifier = `{"channel":"LateChannel"}`
		quoted     = `"{\"channel\":\"LateChannel\"}"`
		rounds     = 50
	)
	for _, server := range []string{"rails", "catenary"} {
		t.Run(server, func(t *testing.T) {
			_, b, expect := visit(t, server)
			b.send(command("subscribe", identifier, nil))
			expect(`{"identifier":`+quoted+`,"type":"confirm_subscription"}`, patience)
			for range rounds {
				b.send(command("message", identifier, `{"action":"count","n":20,"pause":0.0002,"sleep":0.003}`))
				for n := range 20 {
					expect(`{"identifier":`+quoted+`,"message":{"late":`+strconv.Itoa(n)+`}}`, patience)
				}
			}
		})
	}
}

// TestLate_NothingOfALongCommandIsLostIfCatenaryHearsNothing: what is published before the reply is in the reply as well.
func TestLate_NothingOfALongCommandIsLostIfCatenaryHearsNothing(t *testing.T) {
	const quoted = `"{\"channel\":\"StreamChannel\",\"t\":1,\"sleep\":0.5}"`
	redis, err := startRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.close)
	app, err := startApp("lab", true, "REDIS_URL="+redis.url())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.close)
	toRedis := startProxy(t, redis.address)
	c, err := startCatenary(app, "--broadcasts-redis-url", "redis://"+toRedis.address+"/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.process.kill)
	b, err := dial(c.address, handshake("GET", "/cable", c.address, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.close)
	if e, ok := nextFrame(b, patience); !ok || e.text != welcome {
		t.Fatalf("got %q and not %s", e, welcome)
	}
	toRedis.lose(there | back) // Rails goes on publishing, and catenary counts as a listener
	b.send(command("subscribe", `{"channel":"StreamChannel","t":1,"sleep":0.5}`, nil))
	for _, want := range []string{`{"identifier":` + quoted + `,"message":{"insub":1}}`, `{"identifier":` + quoted + `,"type":"confirm_subscription"}`} {
		if e, ok := nextFrame(b, patience); !ok || e.text != want {
			t.Fatalf("got %q and not %s", e, want)
		}
	}
}
