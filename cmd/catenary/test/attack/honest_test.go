package attack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// An honest client calls Rails and receives broadcasts and pings all the time during an attack.
type honestClient struct {
	victim   *victim
	browser  *stage.Browser
	stopping chan struct{}
	stopped  chan struct{}

	mu     sync.Mutex
	took   []time.Duration // round trips to Rails
	pinged time.Time
	err    error
}

const (
	honestEcho  = `{"channel":"EchoChannel"}`
	honestNews  = `{"channel":"StreamChannel","s":"news"}`
	honestPause = 50 * time.Millisecond
)

// startHonestClient connects, subscribes and starts round trips.
func (v *victim) startHonestClient() *honestClient {
	v.Helper()
	b := v.connectFrom("127.0.0.1", "/cable?uid=1")
	h := &honestClient{victim: v, browser: b, stopping: make(chan struct{}), stopped: make(chan struct{}), pinged: time.Now()}
	b.Send(stage.Command("subscribe", honestEcho, nil))
	b.Send(stage.Command("subscribe", honestNews, nil))
	v.Expect(b, stage.Welcome, stage.Confirmation(honestEcho), stage.Confirmation(honestNews))
	go h.run()
	return h
}

func (h *honestClient) run() {
	defer close(h.stopped)
	for n := 0; ; n++ {
		select {
		case <-h.stopping:
			return
		case <-time.After(honestPause):
		}
		if err := h.roundTrip(n); err != nil {
			h.mu.Lock()
			h.err = fmt.Errorf("round trip %d: %w", n, err)
			h.mu.Unlock()
			<-h.stopping
			return
		}
	}
}

// roundTrip performs an action and publishes a broadcast, and waits for both.
func (h *honestClient) roundTrip(n int) error {
	began := time.Now()
	if err := h.browser.Send(stage.Command("message", honestEcho, fmt.Sprintf(`{"action":"echo","n":%d}`, n))); err != nil {
		return fmt.Errorf("send a command: %w", err)
	}
	if err := h.expect(fmt.Sprintf(`{"identifier":%s,"message":{"action":"echo","n":%d}}`, stage.Quoted(honestEcho), n)); err != nil {
		return fmt.Errorf("receive the channel's answer: %w", err)
	}
	took := time.Since(began)
	if err := h.victim.Redis.Client.Publish(context.Background(), "news", n).Err(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := h.expect(fmt.Sprintf(`{"identifier":%s,"message":%d}`, stage.Quoted(honestNews), n)); err != nil {
		return fmt.Errorf("receive the broadcast: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = append(h.took, took)
	return nil
}

func (h *honestClient) expect(want string) error {
	for {
		e, ok := h.browser.Next()
		switch {
		case !ok:
			return errors.New("nothing came")
		case stage.IsPing(e):
			if gap := e.At.Sub(h.pinged); gap > stage.Patience/4 {
				return fmt.Errorf("no ping for %v", gap)
			}
			h.pinged = e.At
		case e.String() != want:
			return fmt.Errorf("got %s", e)
		default:
			return nil
		}
	}
}

func (h *honestClient) roundTrips() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		h.victim.Fatal(h.err)
	}
	return len(h.took)
}

// stop stops the client, fails the test if it was not served, and returns its median round trip.
func (h *honestClient) stop() time.Duration {
	h.victim.Helper()
	close(h.stopping)
	<-h.stopped
	h.browser.Close()
	if h.err != nil {
		h.victim.Errorf("the honest client was not served: %v", h.err)
	}
	if len(h.took) == 0 {
		return 0
	}
	slices.Sort(h.took)
	return h.took[len(h.took)/2]
}
