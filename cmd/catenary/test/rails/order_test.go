package rails

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

var pairs = flag.Int("pairs", 300, "how many messages of each kind TestOrder counts")

// An subscriber is a browser that is subscribed to a channel, usually OrderChannel.
type subscriber struct {
	*stage.Browser
	t          *testing.T
	identifier string
}

func (w orderWorld) join(t *testing.T, query, stream string) *subscriber {
	t.Helper()
	b, err := stage.Dial(w.Address, w.Handshake("GET", "/cable"+query, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	o := &subscriber{b, t, `{"channel":"OrderChannel","s":"` + stream + `"}`}
	o.subscribe()
	return o
}

// subscribe expects the welcome, subscribes and expects the confirmation.
func (o *subscriber) subscribe() {
	o.t.Helper()
	o.expect(stage.Welcome)
	o.Send(stage.Command("subscribe", o.identifier, nil))
	o.expect(stage.Confirmation(o.identifier))
}

func (o *subscriber) perform(data string) { o.Send(stage.Command("message", o.identifier, data)) }

func (o *subscriber) expect(frames ...string) {
	o.t.Helper()
	for _, want := range frames {
		if e, ok := stage.NextFrame(o.Browser); !ok || e.Text != want {
			o.t.Fatalf("got %q, want %s", e, want)
		}
	}
}

func (o *subscriber) expectMessages(messages ...string) {
	o.t.Helper()
	for _, message := range messages {
		o.expect(stage.MessageFor(o.identifier, message))
	}
}

type orderWorld struct{ *stage.World }

func newOrderWorld(t *testing.T, env ...string) orderWorld {
	t.Helper()
	t.Parallel()
	w, err := stage.StartWorld("catenary", "", env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	o := orderWorld{w}
	o.logIfFailed(t)
	return o
}

// sharedOrderWorld is for tests that have users and streams of their own, and do not mind that Rails
// is busy.
func sharedOrderWorld(t *testing.T) orderWorld {
	t.Helper()
	t.Parallel()
	w := orderWorld{usualWorlds.Find(t, "catenary")}
	w.logIfFailed(t)
	return w
}

func (w orderWorld) logIfFailed(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", w.App.Process.Output.Tail(), w.Catenary.Process.Output.Tail())
		}
	})
}

// More browsers act than Rails has threads. What an action transmits arrives before the broadcast
// that follows it and before the broadcast of the job that it enqueues; broadcasts arrive in order.
// -pairs 3000 counts more.
func TestOrder_MessagesArriveInTheOrderOfTheCode(t *testing.T) {
	t.Parallel()
	t.Run("one process", func(t *testing.T) { newOrderWorld(t).countPairs(t) })
	t.Run("three processes", func(t *testing.T) { newOrderWorld(t, "WEB_CONCURRENCY=3").countPairs(t) })
}

func (w orderWorld) countPairs(t *testing.T) {
	const speakers = 6
	var all sync.WaitGroup
	for s := range speakers {
		stream := fmt.Sprint("room ", s)
		speaks, listens := w.join(t, "?uid=1", stream), w.join(t, "?uid=2", stream)
		all.Go(func() {
			for n := range *pairs / speakers {
				speaks.perform(fmt.Sprintf(`{"action":"speak","n":%d,"twice":true}`, n))
				speaks.perform(fmt.Sprintf(`{"action":"leave_to_a_job","n":"job %d"}`, n))
			}
		})
		all.Go(func() { speaks.expectInOrder(*pairs/speakers, "ack", "said", "again") })
		all.Go(func() { listens.expectInOrder(*pairs/speakers, "said", "again") })
	}
	all.Wait()
}

// expectInOrder expects each word for every number up to count and for each job with such a number.
// The words for one number come in order; jobs may overtake each other.
func (o *subscriber) expectInOrder(count int, words ...string) {
	next, latest := map[string]int{}, -1
	for range count * (2*len(words) - 1) {
		e, _ := stage.NextFrame(o.Browser)
		var frame struct{ Message map[string]any }
		if err := json.Unmarshal([]byte(e.Text), &frame); err != nil || len(frame.Message) != 1 {
			o.t.Errorf("got %s", e)
			return
		}
		for word, value := range frame.Message {
			key := fmt.Sprint(value)
			at := slices.Index(words, word)
			if number, isNumber := value.(float64); isNumber && at == 0 {
				if int(number) != latest+1 {
					o.t.Errorf("got %s %v after %d", word, value, latest)
				}
				latest = int(number)
			}
			if next[key] != at {
				o.t.Errorf("got %s %v as word %d", word, value, next[key])
			}
			next[key]++
		}
	}
}

// Both the subscriber and others get them in order, even while the subscribe still runs.
func TestOrder_BroadcastsOfASubscribeArriveBeforeThoseOfItsJob(t *testing.T) {
	w := sharedOrderWorld(t)
	listens := w.join(t, "?uid=2", "hall")
	for n := range 8 {
		b, err := stage.Dial(w.Address, w.Handshake("GET", "/cable?uid=1", nil))
		if err != nil {
			t.Fatal(err)
		}
		o := &subscriber{b, t, fmt.Sprintf(`{"channel":"OrderChannel","s":"hall","announce":%d}`, n)}
		o.expect(stage.Welcome)
		b.Send(stage.Command("subscribe", o.identifier, nil))
		listens.expectMessages(fmt.Sprintf(`{"first":%d}`, n), fmt.Sprintf(`{"second":%d}`, n))
		b.Close()
	}
}

func TestOrder_AMessageBeforeARemoteDisconnectArrives(t *testing.T) {
	w := sharedOrderWorld(t)
	for n := range 20 {
		leaves := w.join(t, fmt.Sprintf("?uid=leaves%d", n), "room")
		leaves.perform(`{"action":"leave"}`)
		leaves.expectMessages(`{"bye":1}`)
		leaves.expect(`{"type":"disconnect","reason":"remote","reconnect":true}`)
	}
}

// The command runs far longer than backend.timeout, and each message arrives when it is
// transmitted.
func TestOrder_ACommandMayRunLongerThanTheBackendTimeout(t *testing.T) {
	w := newOrderWorld(t)
	catenary, err := stage.StartCatenary(w.App, "--backend-timeout", "1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catenary.Process.Kill)
	counts := orderWorld{&stage.World{Address: catenary.Address}}.join(t, "?uid=1", "room")
	began := time.Now()
	counts.perform(`{"action":"count","to":8,"s":1}`)
	for n := range 8 {
		counts.expectMessages(fmt.Sprintf(`{"n":%d}`, n))
		if n == 0 && time.Since(began) > 7*time.Second {
			t.Log("the first message took very long on this machine")
		}
	}
}

// The message never comes before the handshake's answer, and is never lost.
func TestOrder_WhatAThreadOfConnectTransmitsArrivesAfterTheHandshake(t *testing.T) {
	w := sharedOrderWorld(t)
	for n := range 60 {
		b, err := stage.Dial(w.Address, w.Handshake("GET", fmt.Sprintf("/cable?mode=thread&uid=%d", n), nil))
		if err != nil {
			t.Fatal(err)
		}
		if b.Response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(b.Response.Status)
		}
		var frames []string
		for range 2 {
			e, _ := stage.NextFrame(b)
			frames = append(frames, e.Text)
		}
		b.Close()
		if got := strings.Join(frames, " "); !strings.Contains(got, `{"thread":1}`) || !strings.Contains(got, stage.Welcome) {
			t.Fatalf("browser %d got %s", n, got)
		}
	}
}

// The browser was rejected when the timeout expired.
func TestOrder_AConnectThatTimesOutIsFollowedByDisconnect(t *testing.T) {
	w := newOrderWorld(t)
	catenary, err := stage.StartCatenary(w.App, "--backend-open-timeout", "500ms")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catenary.Process.Kill)
	b, err := stage.Dial(catenary.Address, stage.Handshake("GET", "/cable?uid=late&sleep=3", catenary.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != http.StatusServiceUnavailable {
		t.Fatal(b.Response.Status)
	}
	if events, err := w.App.Events("late", stage.Events); err != nil || len(events) > 0 {
		t.Fatalf("the browser was answered only after %v (%v)", events, err)
	}
	if err := w.App.AwaitEvents("late", stage.Events, []string{"connect", "disconnect"}); err != nil {
		t.Fatal(err)
	}
}

// It makes no difference whether browsers connect one by one or all at once.
func TestProcesses_ShareConnectionsEvenly(t *testing.T) {
	w := newOrderWorld(t, "WEB_CONCURRENCY=4")
	e := &stage.Edge{T: t, App: w.App, Nodes: []*stage.Catenary{w.Catenary}}
	if !stage.Await(func() bool { return e.Scrape().Gauge("catenary_rails_processes") == 4 }) {
		t.Fatal("there are not four links")
	}
	expectEven := func(all float64) {
		t.Helper()
		s := e.Scrape()
		most, fewest := s.Gauge("catenary_rails_connections_max"), s.Gauge("catenary_rails_connections_min")
		if most > 1.3*all/4 || fewest < 0.7*all/4 {
			t.Errorf("of %g browsers, one process has %g and another %g", all, most, fewest)
		}
	}
	for n := range 40 {
		w.join(t, fmt.Sprintf("?uid=%d", n), "room")
	}
	expectEven(40)
	var connecting sync.WaitGroup
	for n := range 40 {
		connecting.Go(func() {
			b, err := stage.Dial(w.Address, w.Handshake("GET", fmt.Sprintf("/cable?uid=%d", 100+n), nil))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(b.Close)
			stage.NextFrame(b)
		})
	}
	connecting.Wait()
	expectEven(80)
}

// A browser in another process is answered while the busy process runs a command and queues
// another.
func TestProcesses_ABusyProcessDelaysOnlyItsOwnBrowsers(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"rails", "catenary"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w, err := stage.StartWorld(server, "", "WEB_CONCURRENCY=2", "LAB_WORKERS=1")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			t.Cleanup(w.App.Process.Kill) // do not wait until it has slept
			connectOne := func() *graphqlClient {
				c := &graphqlClient{t: t, world: w}
				connect(c)
				t.Cleanup(c.browser.Close)
				return c
			}
			busy, idle := connectOne(), connectOne()
			for idle.pid == busy.pid { // natively Puma balances at random
				idle = connectOne()
			}
			for _, c := range []*graphqlClient{busy, idle} {
				c.browser.Send(stage.Command("subscribe", echo, nil))
				c.expect(stage.Confirmation(echo))
			}
			for range 2 {
				busy.browser.Send(stage.Command("message", echo, `{"action":"slow","s":300}`))
			}
			idle.browser.Send(stage.Command("message", echo, `{"action":"num"}`))
			idle.expect(stage.MessageFor(echo, "42"))
		})
	}
}

const echo = `{"channel":"EchoChannel"}`
