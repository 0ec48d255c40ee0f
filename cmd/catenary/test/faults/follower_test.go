package faults

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/redis/go-redis/v9"
)

// A follower is a browser with the extended protocol. Whatever cuts its connection, it asks for what it
// has missed, and records what it gets on all its connections together.
type follower struct {
	rig  *rig
	name string
	via  string

	mu         sync.Mutex
	browser    *stage.Browser // nil: not connected
	leaving    bool
	left       chan struct{}
	from       int // the first number that it must receive; 0: not confirmed yet
	position   string
	received   []int
	gaps       [][2]int // numbers, exclusive, between which it may miss some: it got reject_history
	rejected   bool     // and nothing since
	trouble    []string
	opened     int
	histories  int // confirmed
	rejections int
}

// follow starts followers that stay until they leave.
func (s *rig) follow(number int, via string) (followers []*follower) {
	for range number {
		s.joined++
		f := &follower{rig: s, name: fmt.Sprintf("follower-%d", s.joined), via: via, left: make(chan struct{})}
		followers = append(followers, f)
		go f.run()
	}
	return followers
}

func (f *follower) run() {
	defer close(f.left)
	for !f.isLeaving() {
		f.connect()
		time.Sleep(200 * time.Millisecond)
	}
}

func (f *follower) isLeaving() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.leaving
}

func (f *follower) connect() {
	b, err := stage.Dial(f.via, stage.Handshake("GET", "/cable?uid="+f.name, f.via, []string{"Sec-WebSocket-Protocol: actioncable-v1-ext-json"}))
	if err != nil || b.Response.StatusCode != 101 {
		return
	}
	defer b.Close()
	f.mu.Lock()
	f.browser = b
	f.opened++
	if f.leaving {
		b.Close()
	}
	f.mu.Unlock()
	for e := range b.Events {
		if e.Kind == "text" {
			f.receive(e.Text)
		}
	}
}

func (f *follower) receive(text string) {
	var frame struct {
		Type, Epoch string
		Message     json.RawMessage
		Offset      uint64
	}
	json.Unmarshal([]byte(text), &frame)
	f.mu.Lock()
	defer f.mu.Unlock()
	switch frame.Type {
	case "welcome":
		subscribe := map[string]any{"command": "subscribe", "identifier": `{"channel":"TallyChannel","s":"` + f.rig.stream + `"}`}
		if f.position != "" {
			subscribe["history"] = json.RawMessage(`{"streams":{"` + f.rig.stream + `":` + f.position + `}}`)
		}
		command, _ := json.Marshal(subscribe)
		f.browser.Send(string(command))
	case "confirm_subscription":
		if f.position == "" { // it has received nothing so far
			f.from = int(f.rig.published.Load()) + 1
		}
	case "confirm_history":
		f.histories++
	case "reject_history":
		f.rejections++
		f.rejected = true
	case "":
		var message struct{ N int }
		json.Unmarshal(frame.Message, &message)
		f.note(message.N, fmt.Sprintf(`{"epoch":%q,"offset":%d}`, frame.Epoch, frame.Offset))
		if frame.Offset == 0 {
			f.trouble = append(f.trouble, "no number: "+text)
		}
	}
}

// note records a number. f.mu is held.
func (f *follower) note(n int, position string) {
	last := f.from - 1
	if len(f.received) > 0 {
		last = f.received[len(f.received)-1]
		if n <= last {
			f.trouble = append(f.trouble, fmt.Sprintf("%d came after %d", n, last))
		}
	}
	if f.rejected {
		f.gaps = append(f.gaps, [2]int{last, n})
		f.rejected = false
	}
	f.received = append(f.received, n)
	f.position = position
}

// has reports whether a number or a later one has arrived.
func (f *follower) has(n int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.received) > 0 && f.received[len(f.received)-1] >= n
}

func (f *follower) leave() {
	f.mu.Lock()
	f.leaving = true
	if f.browser != nil {
		f.browser.Close()
	}
	f.mu.Unlock()
	<-f.left
}

// verify returns what is wrong with the records up to a number, and how many numbers were missed after
// a rejection.
func (f *follower) verify(last int, accepted func(int) bool) (trouble []string, missed int) {
	trouble = f.trouble
	received := map[int]bool{}
	for _, n := range f.received {
		received[n] = true
	}
	for n := f.from; n <= last; n++ {
		switch {
		case received[n] || !accepted(n):
		case slices.ContainsFunc(f.gaps, func(gap [2]int) bool { return n > gap[0] && n < gap[1] }):
			missed++
		default:
			trouble = append(trouble, fmt.Sprintf("%d was missed, and no history was rejected: %v", n, f.gaps))
		}
	}
	return trouble, missed
}

// historyScript is the gem's, which numbers broadcasts and keeps them.
func (s *rig) historyScript() *redis.Script {
	gem, err := os.ReadFile(stage.ProjectRoot + "/rpc/rails/lib/catenary/rails/history.rb")
	s.must(err)
	_, rest, _ := strings.Cut(string(gem), "<<~'LUA'\n")
	script, _, found := strings.Cut(rest, "      LUA\n")
	if !found {
		s.Fatal("the gem's script was not found")
	}
	return redis.NewScript(script)
}
