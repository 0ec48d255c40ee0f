package cable

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/catenary-cable/catenary/cable/internal/patience"
	"github.com/catenary-cable/catenary/rpc"
	"github.com/gorilla/websocket"
)

func TestDrain_StaggersFewBrowsersAtRailsPaceAndManyOverTheGivenTime(t *testing.T) {
	for _, c := range []struct {
		browsers     int
		every, over  time.Duration
		first, whole time.Duration
	}{
		{browsers: 1, every: 10 * time.Millisecond, over: time.Minute},
		{browsers: 20, every: 5 * time.Millisecond, over: time.Minute, first: 5 * time.Millisecond, whole: 95 * time.Millisecond},
		{browsers: 10_000, every: 5 * time.Millisecond, over: 15 * time.Second, first: 1500 * time.Microsecond, whole: 15*time.Second - 1500*time.Microsecond},
		{browsers: 100, every: 5 * time.Millisecond}, // no time: all at once
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			var turns []time.Duration
			stagger(t.Context(), c.browsers, min(c.every, c.over/time.Duration(c.browsers)), func(i int) {
				if i != len(turns) {
					t.Errorf("%d comes after %d", i, len(turns))
				}
				turns = append(turns, time.Since(begin))
			})
			if len(turns) != c.browsers || turns[0] != 0 || turns[len(turns)-1] != c.whole || len(turns) > 1 && turns[1] != c.first {
				t.Errorf("of %d browsers, %d had their turn: after %v … %v", c.browsers, len(turns), turns[:min(2, len(turns))], turns[len(turns)-1])
			}
		})
	}
}

func TestDrain_DisconnectsTheRestAtOnceWhenTheTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 95*time.Millisecond)
		defer cancel()
		begin, turns := time.Now(), []time.Duration{}
		stagger(ctx, 1000, 10*time.Millisecond, func(int) { turns = append(turns, time.Since(begin)) })
		if len(turns) != 1000 || slices.Max(turns) != 95*time.Millisecond {
			t.Errorf("%d had their turn, the last after %v", len(turns), slices.Max(turns))
		}
	})
}

func TestDrain_TakesItsPaceFromHowFastRailsOpensConnections(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Open {
			time.Sleep(50 * time.Millisecond)
		}
		return behave(call)
	})
	for range 5 {
		w.welcomed()
	}
	if every := w.server.drainInterval(5, time.Hour); every < 50*time.Millisecond {
		t.Errorf("one every %v, though Rails needs 50 ms for each", every)
	}
	if every := w.server.drainInterval(5, 50*time.Millisecond); every != 10*time.Millisecond {
		t.Errorf("one every %v does not fit", every)
	}
}

// A browser notices nothing until its turn, and new handshakes get a 503.
func TestDrain_ServesBrowsersUntilTheirTurn(t *testing.T) {
	w := newWorld(t)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Open {
			time.Sleep(200 * time.Millisecond)
		}
		return behave(call)
	})
	browsers := []*browser{w.welcomed(), w.welcomed(), w.welcomed()}
	for _, b := range browsers {
		b.subscribe("chat room")
		b.expect(confirmed("chat room"))
	}
	drained := make(chan error)
	go func() {
		_, err := w.server.Drain(w.Context(), time.Minute)
		drained <- err
	}()
	w.eventually("one is disconnected", func() bool { return w.server.Stats().Ends["server_restart"] == 1 })
	w.source.publish <- [2]string{"room", `1`}
	w.eventually("it is delivered", func() bool { return w.hub.Stats().Broadcasts == 1 })
	disconnected := int(w.server.Stats().Ends["server_restart"]) // one, unless the machine is slow
	if response := w.rejectedHandshake(); response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("a new handshake is answered %v", response)
	}
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	received := 0
	for _, b := range browsers {
		got, err := b.next()
		if got == message("chat room", `1`) {
			received++
			got, err = b.next()
		}
		if got != `{"type":"disconnect","reason":"server_restart","reconnect":true}` {
			t.Errorf("%s %v", got, err)
		}
	}
	if received > 2 || received < len(browsers)-disconnected {
		t.Errorf("%d browsers got the broadcast, which was published after %d were disconnected", received, disconnected)
	}
}

// Rails got the call before the signal arrived. It has run connect, so it must run
// the disconnect callbacks too.
func TestDrain_RejectsAHandshakeInFlight(t *testing.T) {
	w := newWorld(t)
	asking, answer := make(chan bool), make(chan bool)
	w.rails.onCall(func(call railsCall) map[string]any {
		if call.Do == rpc.Open {
			close(asking)
			<-answer
		}
		return behave(call)
	})
	answers := make(chan *http.Response)
	go func() { answers <- w.rejectedHandshake() }()
	<-asking
	drained := make(chan error)
	ctx, cancel := context.WithTimeout(w.Context(), patience.Deadline)
	defer cancel()
	go func() {
		_, err := w.server.Drain(ctx, time.Minute)
		drained <- err
	}()
	w.eventually("the server is draining", func() bool { return w.server.Stats().Draining })
	close(answer)
	if response := <-answers; response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the handshake was answered %v", response)
	}
	if err := <-drained; err != nil {
		t.Fatal("Drain did not return:", err)
	}
	if n := len(w.rails.made(rpc.Close)); n != 1 {
		t.Errorf("Rails has run the disconnect callbacks of %d connections", n)
	}
}

// rejectedHandshake makes a handshake and returns the answer if it is rejected, or nil.
func (w *world) rejectedHandshake() *http.Response {
	ws, response, err := websocket.DefaultDialer.Dial(w.url, nil)
	if err == nil {
		ws.Close()
		return nil
	}
	return response
}
