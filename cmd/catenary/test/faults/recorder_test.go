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

// A recorder is a browser that records what it sends and receives on each of its connections. Like
// the npm client it reconnects when it is told to, or when its connection is cut.
type recorder struct {
	rig  *rig
	name string
	via  string // the address it connects to, catenary's or a proxy's

	mu       sync.Mutex
	sessions []*session
	sent     int // number of actions
	leaving  bool
	rejected int // number of rejected handshakes
	left     chan struct{}
}

// A session is one connection. Each has a user of its own.
type session struct {
	user     string
	browser  *stage.Browser
	from     int // the first number that it must receive, published after the confirmation; 0: not confirmed yet
	received []int
	sent     []int
	answers  []int
	pings    int
	reason   string // reason of the disconnect frame, if one came
	ended    bool
}

func (r *recorder) identifier() string {
	return `{"channel":"TallyChannel","s":"` + r.rig.stream + `"}`
}

// run connects again and again until the recorder leaves.
func (r *recorder) run() {
	defer close(r.left)
	for n := 1; ; n++ {
		r.connect(fmt.Sprintf("%s-%d", r.name, n))
		r.mu.Lock()
		leaving := r.leaving
		r.mu.Unlock()
		if leaving {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (r *recorder) connect(user string) {
	b, err := stage.Dial(r.via, stage.Handshake("GET", "/cable?uid="+user, r.via, nil))
	if err != nil {
		return
	}
	defer b.Close()
	r.mu.Lock()
	if b.Response.StatusCode != 101 {
		r.rejected++
		r.mu.Unlock()
		return
	}
	l := &session{user: user, browser: b}
	r.sessions = append(r.sessions, l)
	leaving := r.leaving
	r.mu.Unlock()
	if leaving {
		b.Close()
	}
	for e := range b.Events {
		if e.Kind == "text" {
			r.receive(l, e.Text)
		}
	}
	r.mu.Lock()
	l.ended = true
	r.mu.Unlock()
}

func (r *recorder) receive(l *session, text string) {
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
		l.from = int(r.rig.published.Load()) + 1
	case "ping":
		l.pings++
	case "disconnect":
		l.reason = frame.Reason
	case "":
		var message struct{ N, Added int }
		json.Unmarshal(frame.Message, &message)
		switch {
		case message.N > 0:
			l.received = append(l.received, message.N)
		case message.Added > 0:
			l.answers = append(l.answers, message.Added)
		}
	}
}

// act performs an action that takes this many seconds, if the recorder is subscribed.
func (r *recorder) act(seconds float64) {
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

// current returns the open connection, if any. The caller holds r.mu.
func (r *recorder) current() *session {
	if n := len(r.sessions); n > 0 && !r.sessions[n-1].ended {
		return r.sessions[n-1]
	}
	return nil
}

// check reports whether a condition holds for the open connection; false if there is none.
func (r *recorder) check(condition func(*session) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.current()
	return l != nil && condition(l)
}

func nowSubscribed(l *session) bool { return l.from > 0 }

func allAnswered(l *session) bool { return len(l.answers) >= len(l.sent) }

func (r *recorder) leave() {
	r.mu.Lock()
	r.leaving = true
	if l := r.current(); l != nil {
		l.browser.Close()
	}
	r.mu.Unlock()
}

func (r *recorder) isLeaving() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.leaving
}

// outOfOrder returns an error if a number came twice, or after a later one.
func (l *session) outOfOrder() error {
	for _, numbers := range [][]int{l.received, l.answers} {
		for i := 1; i < len(numbers); i++ {
			if numbers[i] <= numbers[i-1] {
				return fmt.Errorf("%s received %d after %d", l.user, numbers[i], numbers[i-1])
			}
		}
	}
	return nil
}

// missed returns the published numbers that are missing between the confirmation and the last
// number.
func (l *session) missed(to int, published func(int) bool) (missed []int) {
	if l.from == 0 {
		return nil
	}
	if l.ended { // what was in flight at the end may be lost
		to = 0
		if len(l.received) > 0 {
			to = l.received[len(l.received)-1]
		}
	}
	received := map[int]bool{}
	for _, n := range l.received {
		received[n] = true
	}
	for n := l.from; n <= to; n++ {
		if published(n) && !received[n] {
			missed = append(missed, n)
		}
	}
	return missed
}

// compareRuns compares the actions that Rails has run with those that were sent. They must be equal
// if all, otherwise some may be missing.
func (l *session) compareRuns(ran []int, all bool) error {
	for i, n := range ran {
		if !slices.Contains(l.sent, n) || i > 0 && n <= ran[i-1] {
			return fmt.Errorf("%s: ran %v, sent %v", l.user, ran, l.sent)
		}
	}
	if all && len(ran) != len(l.sent) {
		return fmt.Errorf("%s: ran %v, sent %v", l.user, ran, l.sent)
	}
	return nil
}

// runs returns the numbers of the actions among a user's events.
func runs(events []string) (numbers []int) {
	for _, event := range events {
		var n int
		if _, err := fmt.Sscanf(event, "add %d", &n); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// count counts how often an event is among a user's events.
func count(events []string, event string) (n int) {
	for _, one := range events {
		if one == event || strings.HasPrefix(one, event+" ") {
			n++
		}
	}
	return n
}
