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

// An honest client is there while others attack. It speaks with Rails and hears broadcasts and pings all the time.
type honest struct {
	victim  *victim
	browser *stage.Browser
	leaving chan struct{}
	left    chan struct{}

	mu      sync.Mutex
	took    []time.Duration // its round trips to Rails
	pinged  time.Time
	trouble error
}

const (
	honestEcho    = `{"channel":"EchoChannel"}`
	honestNews    = `{"channel":"StreamChannel","s":"news"}`
	pauseOfHonest = 50 * time.Millisecond
)

// honestClient connects and begins.
func (v *victim) honestClient() *honest {
	v.Helper()
	b := v.from("127.0.0.1", "/cable?uid=1")
	h := &honest{victim: v, browser: b, leaving: make(chan struct{}), left: make(chan struct{}), pinged: time.Now()}
	b.Send(stage.Command("subscribe", honestEcho, nil))
	b.Send(stage.Command("subscribe", honestNews, nil))
	v.Expect(b, stage.Welcome, stage.Confirmation(honestEcho), stage.Confirmation(honestNews))
	go h.live()
	return h
}

func (h *honest) live() {
	defer close(h.left)
	for n := 0; ; n++ {
		select {
		case <-h.leaving:
			return
		case <-time.After(pauseOfHonest):
		}
		if err := h.roundTrip(n); err != nil {
			h.mu.Lock()
			h.trouble = fmt.Errorf("round trip %d: %w", n, err)
			h.mu.Unlock()
			<-h.leaving
			return
		}
	}
}

// roundTrip asks Rails, and has Redis publish.
func (h *honest) roundTrip(n int) error {
	began := time.Now()
	if err := h.browser.Send(stage.Command("message", honestEcho, fmt.Sprintf(`{"action":"echo","n":%d}`, n))); err != nil {
		return fmt.Errorf("send a command: %w", err)
	}
	if err := h.hears(fmt.Sprintf(`{"identifier":%s,"message":{"action":"echo","n":%d}}`, stage.Quoted(honestEcho), n)); err != nil {
		return fmt.Errorf("hear the channel's answer: %w", err)
	}
	took := time.Since(began)
	if err := h.victim.Redis.Client.Publish(context.Background(), "news", n).Err(); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if err := h.hears(fmt.Sprintf(`{"identifier":%s,"message":%d}`, stage.Quoted(honestNews), n)); err != nil {
		return fmt.Errorf("hear the broadcast: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = append(h.took, took)
	return nil
}

func (h *honest) hears(want string) error {
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

func (h *honest) trips() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.trouble != nil {
		h.victim.Fatal(h.trouble)
	}
	return len(h.took)
}

// leave ends the client, which must have been served all the time, and returns the median of its round trips.
func (h *honest) leave() time.Duration {
	h.victim.Helper()
	close(h.leaving)
	<-h.left
	h.browser.Close()
	if h.trouble != nil {
		h.victim.Errorf("the honest client is not served: %v", h.trouble)
	}
	if len(h.took) == 0 {
		return 0
	}
	slices.Sort(h.took)
	return h.took[len(h.took)/2]
}
