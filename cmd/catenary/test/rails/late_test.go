package rails

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// usualWorlds are servers that tests share and leave as they are.
var usualWorlds = stage.SharedWorlds[string]{
	Start: func(server string) (*stage.World, error) { return stage.StartWorld(server, "") },
}

// visit connects to a server. expect expects the next frame.
func visit(t *testing.T, server string) (w *stage.World, b *stage.Browser, expect func(want string)) {
	t.Helper()
	w = usualWorlds.Find(t, server)
	var err error
	if b, err = stage.Dial(w.Address, w.Handshake("GET", "/cable", nil)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	expect = func(want string) {
		t.Helper()
		if e, ok := stage.NextFrame(b); !ok || e.Text != want {
			t.Fatalf("got %q, want %s", e, want)
		}
	}
	expect(stage.Welcome)
	return w, b, expect
}

// What a channel does before it sleeps arrives before it wakes, with Rails as with catenary.
func TestLate_EffectsArriveWhileTheCommandStillRuns(t *testing.T) {
	t.Parallel()
	for _, server := range stage.Servers() {
		if server == "post" {
			continue // effects arrive with the answer to the POST
		}
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w, b, expect := visit(t, server)
			for sleep := 1.5; ; sleep *= 2 { // on a busy machine the broadcast needs longer to arrive meanwhile
				identifier := fmt.Sprintf(`{"channel":"StreamChannel","s":["long"],"t":1,"sleep":%g}`, sleep)
				b.Send(stage.Command("subscribe", identifier, nil))
				expect(stage.MessageFor(identifier, `{"insub":1}`))
				if err := w.Redis.Do("PUBSUB NUMSUB long => 1"); err != nil {
					t.Fatal(err)
				}
				// Natively the stream is live now. It is confirmed after subscribed has returned.
				if err := w.Redis.Do("PUBLISH long 1"); err != nil {
					t.Fatal(err)
				}
				e, _ := stage.NextFrame(b)
				if e.Text == stage.Confirmation(identifier) && sleep < 60 {
					expect(stage.MessageFor(identifier, "1"))
					b.Send(stage.Command("unsubscribe", identifier, nil))
					if err := w.Redis.Do("PUBSUB NUMSUB long => 0"); err != nil {
						t.Fatal(err)
					}
					continue
				}
				if e.Text != stage.MessageFor(identifier, "1") {
					t.Fatalf("got %q, want the broadcast that was published meanwhile", e)
				}
				expect(stage.Confirmation(identifier))
				return
			}
		})
	}
}

// A thread of an action transmits while the action returns, and after it.
func TestLate_WhatAThreadTransmitsArrivesInOrder(t *testing.T) {
	t.Parallel()
	const (
		identifier = `{"channel":"LateChannel"}`
		quoted     = `"{\"channel\":\"LateChannel\"}"`
		rounds     = 50
	)
	for _, server := range []string{"rails", "catenary"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			_, b, expect := visit(t, server)
			b.Send(stage.Command("subscribe", identifier, nil))
			expect(`{"identifier":` + quoted + `,"type":"confirm_subscription"}`)
			for range rounds {
				b.Send(stage.Command("message", identifier, `{"action":"count","n":20,"pause":0.0002,"sleep":0.003}`))
				for n := range 20 {
					expect(`{"identifier":` + quoted + `,"message":{"late":` + strconv.Itoa(n) + `}}`)
				}
			}
		})
	}
}

// What Rails published during the command is in the result as well.
func TestLate_NothingIsLostWhileRedisCannotReachCatenary(t *testing.T) {
	t.Parallel()
	const quoted = `"{\"channel\":\"StreamChannel\",\"t\":1,\"sleep\":0.5}"`
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app, err := stage.StartApp("lab", true, "REDIS_URL="+redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Close)
	toRedis := stage.StartProxy(t, redis.Address)
	c, err := stage.StartCatenary(app, "--broadcasts-redis-url", "redis://"+toRedis.Address+"/1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Process.Kill)
	b, err := stage.Dial(c.Address, stage.Handshake("GET", "/cable", c.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if e, ok := stage.NextFrame(b); !ok || e.Text != stage.Welcome {
		t.Fatalf("got %q, want %s", e, stage.Welcome)
	}
	toRedis.Lose(stage.ToTarget | stage.ToClient) // Rails still publishes, and Redis still counts catenary as a subscriber
	b.Send(stage.Command("subscribe", `{"channel":"StreamChannel","t":1,"sleep":0.5}`, nil))
	for _, want := range []string{`{"identifier":` + quoted + `,"message":{"insub":1}}`, `{"identifier":` + quoted + `,"type":"confirm_subscription"}`} {
		if e, ok := stage.NextFrame(b); !ok || e.Text != want {
			t.Fatalf("got %q, want %s", e, want)
		}
	}
}

// Neither the browsers of threads that transmit nor other browsers wait.
func TestLate_NoBrowserWaitsForAFrozenRedis(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"rails", "catenary", "rebuilt"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w, err := stage.StartWorld(server, "own")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			app := realApp{World: w, t: t}
			late := []*visitor{app.visitor("?uid=1", lateIdentifier), app.visitor("?uid=2", lateIdentifier), app.visitor("?uid=3", lateIdentifier)}
			acts := app.visitor("?uid=4", echo)
			w.Redis.Do("(stop)")
			defer w.Redis.Do("(continue)")
			for _, v := range late {
				v.perform("count", "n", 20, "pause", 0.001)
			}
			acts.perform("num")
			acts.expect([]string{"42"})
			for _, v := range late {
				for n := range 20 {
					v.expect([]string{fmt.Sprintf(`{"late":%d}`, n)})
				}
			}
		})
	}
}

const lateIdentifier = `{"channel":"LateChannel"}`
