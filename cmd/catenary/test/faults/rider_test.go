package faults

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A rider is a browser that keeps accounts: of what it has heard and done, and of every connection that it has had. Like
// the npm client it comes back when it is told to, or cut off.
type rider struct {
	stage *rig
	name  string
	via   string // address; a proxy's or catenary's own

	mu      sync.Mutex
	lives   []*life
	sent    int // actions
	leaving bool
	refused int // handshakes answered with a status
	left    chan struct{}
}

// A life is one connection, from its welcome to its end. Its user has no other.
type life struct {
	user    string
	browser *stage.Browser
	from    int // the first number that it must hear: it was published after the confirmation; 0: there was none yet
	heard   []int
	sent    []int
	answers []int
	pings   int
	told    string // the last words, if it was told to go
	ended   bool
}

func (r *rider) identifier() string { return `{"channel":"TallyChannel","s":"` + r.stage.stream + `"}` }

// ride lives one life after the other until the rider leaves.
func (r *rider) ride() {
	defer close(r.left)
	for n := 1; ; n++ {
		r.live(fmt.Sprintf("%s-%d", r.name, n))
		r.mu.Lock()
		leaving := r.leaving
		r.mu.Unlock()
		if leaving {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (r *rider) live(user string) {
	b, err := stage.Dial(r.via, stage.Handshake("GET", "/cable?uid="+user, r.via, nil))
	if err != nil {
		return
	}
	defer b.Close()
	r.mu.Lock()
	if b.Response.StatusCode != 101 {
		r.refused++
		r.mu.Unlock()
		return
	}
	l := &life{user: user, browser: b}
	r.lives = append(r.lives, l)
	leaving := r.leaving
	r.mu.Unlock()
	if leaving {
		b.Close()
	}
	for e := range b.Events {
		if e.Kind == "text" {
			r.hears(l, e.Text)
		}
	}
	r.mu.Lock()
	l.ended = true
	r.mu.Unlock()
}

func (r *rider) hears(l *life, text string) {
	var frame struct {
		Type, Reason string
		Message      json.RawMessage
	}
	json.Unmarshal([]byte(text), &frame)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch frame.Type {
	case "welcome":
		l.browser.Send(stage.Command("subscribe", r.identifier(), nil))
	case "confirm_subscription":
		l.from = int(r.stage.published.Load()) + 1
	case "ping":
		l.pings++
	case "disconnect":
		l.told = frame.Reason
	case "":
		var message struct{ N, Added int }
		json.Unmarshal(frame.Message, &message)
		switch {
		case message.N > 0:
			l.heard = append(l.heard, message.N)
		case message.Added > 0:
			l.answers = append(l.answers, message.Added)
		}
	}
}

// act performs the action that takes this many seconds, if it is subscribed.
func (r *rider) act(seconds float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.current()
	if l == nil || l.from == 0 {
		return
	}
	r.sent++
	data := fmt.Sprintf(`{"action":"add","n":%d,"s":%g}`, r.sent, seconds)
	if l.browser.Send(stage.Command("message", r.identifier(), data)) == nil {
		l.sent = append(l.sent, r.sent)
	}
}

// current is the life that has not ended. r.mu is held.
func (r *rider) current() *life {
	if n := len(r.lives); n > 0 && !r.lives[n-1].ended {
		return r.lives[n-1]
	}
	return nil
}

// is tells of the current life; it is false without one.
func (r *rider) is(true func(*life) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.current()
	return l != nil && true(l)
}

func nowSubscribed(l *life) bool { return l.from > 0 }

func allAnswered(l *life) bool { return len(l.answers) >= len(l.sent) }

func (r *rider) leave() {
	r.mu.Lock()
	r.leaving = true
	if l := r.current(); l != nil {
		l.browser.Close()
	}
	r.mu.Unlock()
}

func (r *rider) isLeaving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving
}

// outOfOrder names what a life has heard twice, or before what was published earlier.
func (l *life) outOfOrder() error {
	for _, numbers := range [][]int{l.heard, l.answers} {
		for i := 1; i < len(numbers); i++ {
			if numbers[i] <= numbers[i-1] {
				return fmt.Errorf("%s heard %d after %d", l.user, numbers[i], numbers[i-1])
			}
		}
	}
	return nil
}

// missed are numbers that a life should have heard: those from its confirmation to its last, which were published.
func (l *life) missed(to int, published func(int) bool) (missed []int) {
	if l.from == 0 {
		return nil
	}
	if l.ended { // of what was on its way at the end nothing can be said
		if to = 0; len(l.heard) > 0 {
			to = l.heard[len(l.heard)-1]
		}
	}
	heard := map[int]bool{}
	for _, n := range l.heard {
		heard[n] = true
	}
	for n := l.from; n <= to; n++ {
		if published(n) && !heard[n] {
			missed = append(missed, n)
		}
	}
	return missed
}

// misrun compares the actions that Rails says have run with what was asked: all, or of a connection that was lost some.
func (l *life) misrun(ran []int, all bool) error {
	for i, n := range ran {
		if !slices.Contains(l.sent, n) || i > 0 && n <= ran[i-1] {
			return fmt.Errorf("of %s ran %v, asked were %v", l.user, ran, l.sent)
		}
	}
	if all && len(ran) != len(l.sent) {
		return fmt.Errorf("of %s ran %v, asked were %v", l.user, ran, l.sent)
	}
	return nil
}

// runs are the numbers of the actions among a user's events.
func runs(events []string) (numbers []int) {
	for _, event := range events {
		var n int
		if _, err := fmt.Sscanf(event, "add %d", &n); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// count is how often an event is among a user's.
func count(events []string, event string) (n int) {
	for _, one := range events {
		if one == event || strings.HasPrefix(one, event+" ") {
			n++
		}
	}
	return n
}
