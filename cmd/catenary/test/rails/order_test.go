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

var pairs = flag.Int("pairs", 300, "how many of each kind TestOrder counts")

// ordered is a browser that is subscribed to the OrderChannel.
type ordered struct {
	*stage.Browser
	t          *testing.T
	identifier string
}

func (w ordering) joins(t *testing.T, query, stream string) *ordered {
	t.Helper()
	b, err := stage.Dial(w.Address, w.Handshake("GET", "/cable"+query, nil))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	o := &ordered{b, t, `{"channel":"OrderChannel","s":"` + stream + `"}`}
	o.hears(stage.Welcome)
	b.Send(stage.Command("subscribe", o.identifier, nil))
	o.hears(stage.Confirmation(o.identifier))
	return o
}

func (o *ordered) performs(data string) { o.Send(stage.Command("message", o.identifier, data)) }

func (o *ordered) hears(frames ...string) {
	o.t.Helper()
	for _, want := range frames {
		if e, ok := stage.NextFrame(o.Browser); !ok || e.Text != want {
			o.t.Fatalf("got %q and not %s", e, want)
		}
	}
}

func (o *ordered) hearsMessages(messages ...string) {
	o.t.Helper()
	for _, message := range messages {
		o.hears(stage.MessageFor(o.identifier, message))
	}
}

type ordering struct{ *stage.World }

func newOrdering(t *testing.T, env ...string) ordering {
	t.Helper()
	t.Parallel()
	w, err := stage.StartWorld("catenary", "", env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s\n%s", w.App.Process.Output.Tail(), w.Catenary.Process.Output.Tail())
		}
	})
	return ordering{w}
}

// TestOrder_EveryPairIsHeardAsItIsWritten counts, while more browsers act than Rails has threads: what is transmitted comes before
// the broadcast that follows it and before the one that a job makes of it, and a broadcast before the next. -pairs 3000 for more.
func TestOrder_EveryPairIsHeardAsItIsWritten(t *testing.T) {
	t.Parallel()
	t.Run("one process", func(t *testing.T) { newOrdering(t).countPairs(t) })
	t.Run("three processes", func(t *testing.T) { newOrdering(t, "WEB_CONCURRENCY=3").countPairs(t) })
}

func (w ordering) countPairs(t *testing.T) {
	const speakers = 6
	var all sync.WaitGroup
	for s := range speakers {
		stream := fmt.Sprint("room ", s)
		speaks, listens := w.joins(t, "?uid=1", stream), w.joins(t, "?uid=2", stream)
		all.Go(func() {
			for n := range *pairs / speakers {
				speaks.performs(fmt.Sprintf(`{"action":"speak","n":%d,"twice":true}`, n))
				speaks.performs(fmt.Sprintf(`{"action":"leave_to_a_job","n":"job %d"}`, n))
			}
		})
		all.Go(func() { speaks.hearsInOrder(*pairs/speakers, "ack", "said", "again") })
		all.Go(func() { listens.hearsInOrder(*pairs/speakers, "said", "again") })
	}
	all.Wait()
}

// hearsInOrder expects each word for every number up to count and for each job with such a number. For one number, the words
// come in their order; jobs may overtake each other.
func (o *ordered) hearsInOrder(count int, words ...string) {
	next, latest := map[string]int{}, -1
	for range count * (2*len(words) - 1) {
		e, _ := stage.NextFrame(o.Browser)
		var frame struct{ Message map[string]any }
		if err := json.Unmarshal([]byte(e.Text), &frame); err != nil || len(frame.Message) != 1 {
			o.t.Errorf("got %s", e)
			return
		}
		for word, value := range frame.Message {
			of := fmt.Sprint(value)
			at := slices.Index(words, word)
			if number, isNumber := value.(float64); isNumber && at == 0 {
				if int(number) != latest+1 {
					o.t.Errorf("%s %v comes after %d", word, value, latest)
				}
				latest = int(number)
			}
			if next[of] != at {
				o.t.Errorf("%s %v comes as the %dth word of it", word, value, next[of])
			}
			next[of]++
		}
	}
}

// TestOrder_WhatASubscribeBroadcastsAndWhatItsJobBroadcastsAreHeardInTheirOrder, by itself and by others, also while it is not over.
func TestOrder_WhatASubscribeBroadcastsAndWhatItsJobBroadcastsAreHeardInTheirOrder(t *testing.T) {
	w := newOrdering(t)
	listens := w.joins(t, "?uid=2", "hall")
	for n := range 8 {
		comes, err := stage.Dial(w.Address, w.Handshake("GET", "/cable?uid=1", nil))
		if err != nil {
			t.Fatal(err)
		}
		o := &ordered{comes, t, fmt.Sprintf(`{"channel":"OrderChannel","s":"hall","announce":%d}`, n)}
		o.hears(stage.Welcome)
		comes.Send(stage.Command("subscribe", o.identifier, nil))
		listens.hearsMessages(fmt.Sprintf(`{"first":%d}`, n), fmt.Sprintf(`{"second":%d}`, n))
		comes.Close()
	}
}

func TestOrder_TheLastWordsOfOneWhoDisconnectsHimselfAreHeard(t *testing.T) {
	w := newOrdering(t)
	for n := range 20 {
		leaves := w.joins(t, fmt.Sprintf("?uid=%d", n), "room")
		leaves.performs(`{"action":"leave"}`)
		leaves.hearsMessages(`{"bye":1}`)
		leaves.hears(`{"type":"disconnect","reason":"remote","reconnect":true}`)
	}
}

// TestOrder_ACommandMayTakeAsLongAsItLikes: far longer than backend.timeout, and it is heard word by word.
func TestOrder_ACommandMayTakeAsLongAsItLikes(t *testing.T) {
	w := newOrdering(t)
	catenary, err := stage.StartCatenary(w.App, "--backend-timeout", "1s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catenary.Process.Kill)
	counts := ordering{&stage.World{Address: catenary.Address}}.joins(t, "?uid=1", "room")
	began := time.Now()
	counts.performs(`{"action":"count","to":8,"s":1}`)
	for n := range 8 {
		counts.hearsMessages(fmt.Sprintf(`{"n":%d}`, n))
		if n == 0 && time.Since(began) > 7*time.Second {
			t.Log("the first word took very long on this machine")
		}
	}
}

// TestOrder_AThreadOfConnectIsHeardAfterTheHandshake: never before, and always.
func TestOrder_AThreadOfConnectIsHeardAfterTheHandshake(t *testing.T) {
	w := newOrdering(t)
	for n := range 60 {
		b, err := stage.Dial(w.Address, w.Handshake("GET", fmt.Sprintf("/cable?mode=thread&uid=%d", n), nil))
		if err != nil {
			t.Fatal(err)
		}
		if b.Response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatal(b.Response.Status)
		}
		var heard []string
		for range 2 {
			e, _ := stage.NextFrame(b)
			heard = append(heard, e.Text)
		}
		b.Close()
		if got := strings.Join(heard, " "); !strings.Contains(got, `{"thread":1}`) || !strings.Contains(got, stage.Welcome) {
			t.Fatalf("the %dth browser heard %s", n, got)
		}
	}
}

// TestOrder_AConnectThatEndsTooLateIsFollowedByDisconnect: its browser was answered when the time was over.
func TestOrder_AConnectThatEndsTooLateIsFollowedByDisconnect(t *testing.T) {
	w := newOrdering(t)
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
		t.Fatalf("it was answered only after %v (%v)", events, err)
	}
	if err := w.App.AwaitEvents("late", stage.Events, []string{"connect", "disconnect"}); err != nil {
		t.Fatal(err)
	}
}

// TestProcesses_GetAboutAsManyConnectionsEach, whether browsers come one by one or all at once.
func TestProcesses_GetAboutAsManyConnectionsEach(t *testing.T) {
	w := newOrdering(t, "WEB_CONCURRENCY=4")
	e := &stage.Edge{T: t, App: w.App, Nodes: []*stage.Catenary{w.Catenary}}
	if !stage.Await(func() bool { return e.Scrape().Gauge("catenary_rails_processes") == 4 }) {
		t.Fatal("there are no four links")
	}
	even := func(all float64) {
		t.Helper()
		s := e.Scrape()
		most, fewest := s.Gauge("catenary_rails_connections_max"), s.Gauge("catenary_rails_connections_min")
		if most > 1.3*all/4 || fewest < 0.7*all/4 {
			t.Errorf("of %g browsers %g are on one process, %g on another", all, most, fewest)
		}
	}
	for n := range 40 {
		w.joins(t, fmt.Sprintf("?uid=%d", n), "room")
	}
	even(40)
	var coming sync.WaitGroup
	for n := range 40 {
		coming.Go(func() {
			b, err := stage.Dial(w.Address, w.Handshake("GET", fmt.Sprintf("/cable?uid=%d", 100+n), nil))
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(b.Close)
			stage.NextFrame(b)
		})
	}
	coming.Wait()
	even(80)
}

// TestProcesses_ABusyOneHoldsUpOnlyItsOwn: who is in another one is answered while its worker is busy and a command waits.
func TestProcesses_ABusyOneHoldsUpOnlyItsOwn(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"rails", "catenary"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			w, err := stage.StartWorld(server, "", "WEB_CONCURRENCY=2", "LAB_WORKERS=1")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(w.Close)
			t.Cleanup(w.App.Process.Kill) // it would sleep on
			one := func() *graphqlClient {
				c := &graphqlClient{t: t, world: w}
				connect(c)
				t.Cleanup(c.browser.Close)
				return c
			}
			busy, idle := one(), one()
			for idle.pid == busy.pid { // natively Puma spreads them as it likes
				idle = one()
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
