package rails

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestHooks_RunAsNatively: what an application or its monitoring overrides in Action Cable's classes is called as often, on
// the same objects and with the same arguments.
func TestHooks_RunAsNatively(t *testing.T) {
	t.Parallel()
	all := hooked(t, []string{"rails", "catenary", "post", "rebuilt"})
	const identifier = `{"channel":"HooksChannel"}`
	all.do("connect", func(h *hooks) { h.connects("/cable?uid=hooks") })
	all.do("subscribe", func(h *hooks) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	all.beat()
	all.do("subscribe to nothing", func(h *hooks) { h.browser.Send(stage.Command("subscribe", `{"channel":"NobodysChannel"}`, nil)) })
	all.do("perform", func(h *hooks) { h.browser.Send(stage.Command("message", identifier, `{"action":"echo","n":1}`)) })
	all.do("perform nothing", func(h *hooks) { h.browser.Send(stage.Command("message", identifier, `{"action":"nothing"}`)) })
	all.do("no JSON", func(h *hooks) { h.browser.Send("{") })
	all.do("no command", func(h *hooks) { h.browser.Send(`{"command":"dance"}`) })
	all.do("stop a stream", func(h *hooks) { h.browser.Send(stage.Command("message", identifier, `{"action":"stop"}`)) })
	all.do("unsubscribe", func(h *hooks) { h.browser.Send(stage.Command("unsubscribe", identifier, nil)) })
	all.do("subscribe once more", func(h *hooks) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	all.do("vanish", func(h *hooks) { h.browser.Close() })

	all.do("connect again", func(h *hooks) { h.connects("/cable?uid=hooks") })
	all.do("subscribe", func(h *hooks) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	all.do("have it closed", func(h *hooks) { h.browser.Send(stage.Command("message", identifier, `{"action":"leave"}`)) })
	for _, code := range []int{0, 1001, 4001} {
		all.do("connect to say goodbye", func(h *hooks) { h.connects("/cable?uid=hooks") })
		all.do(fmt.Sprintf("close with %d", code), func(h *hooks) {
			payload := []byte(nil)
			if code > 0 {
				payload = stage.ClosePayload(code, "bye")
			}
			h.browser.Write(stage.OpClose, payload)
		})
	}
	all.do("connect to break the protocol", func(h *hooks) { h.connects("/cable?uid=hooks") })
	for _, h := range all {
		h.words = false // of the error
	}
	all.do("an unmasked frame", func(h *hooks) { h.browser.WriteRaw([]byte{0x81, 1, 'x'}) })
	for _, h := range all {
		h.words = true
	}
	all.do("be rejected", func(h *hooks) { h.connects("/cable?uid=hooks&mode=reject") })
}

// TestHooks_WhoOverridesTransmitSeesEveryMessage, also of streams that are otherwise delivered without Rails.
func TestHooks_WhoOverridesTransmitSeesEveryMessage(t *testing.T) {
	t.Parallel()
	all := hooked(t, []string{"rails", "catenary", "post"}, "LAB_HOOKS_TRANSMIT=true")
	const identifier = `{"channel":"HooksChannel"}`
	all.do("connect", func(h *hooks) { h.connects("/cable?uid=hooks") })
	all.do("subscribe", func(h *hooks) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	for _, h := range all {
		o := &ordered{h.browser, t, identifier}
		o.hears(stage.Welcome, stage.Confirmation(identifier))
	}
	for _, stream := range []string{"hooks", "hooked"} {
		all.do("a broadcast on "+stream, func(h *hooks) {
			if err := h.world.App.Ask(`POST /broadcast {"stream":"` + stream + `","message":{"n":1}}`); err != nil {
				t.Error(err)
			}
		})
	}
}

// hooks are what one server calls.
type hooks struct {
	t       *testing.T
	server  string
	world   *stage.World
	browser *stage.Browser
	words   bool // arguments are compared too
}

type hookeds []*hooks

// hooked starts the servers, the first of which is Rails itself.
func hooked(t *testing.T, servers []string, env ...string) hookeds {
	all := make(hookeds, len(servers))
	var starting sync.WaitGroup
	for i, server := range servers {
		starting.Go(func() {
			w, err := stage.StartWorld(server, "own", append(env, "LAB_HOOKS=true", "LAB_WORKERS=1")...)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = &hooks{t: t, server: server, world: w, words: true}
		})
	}
	starting.Wait()
	for _, h := range all {
		if h == nil {
			t.FailNow()
		}
		t.Cleanup(h.world.Close)
	}
	if err := all[0].world.App.AwaitEvents("1", stage.Events, []string{"connect", "disconnect"}); err != nil {
		t.Fatal(err) // somebody was there before
	}
	for _, h := range all {
		h.forget()
	}
	return all
}

func (h *hooks) connects(path string) {
	if h.browser != nil {
		h.browser.Close()
	}
	var err error
	if h.browser, err = stage.Dial(h.world.Address, stage.Handshake("GET", path, h.world.Address, nil)); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.browser.Close)
}

func (h *hooks) forget() {
	if err := h.world.App.Ask("DELETE /events"); err != nil {
		h.t.Fatal(err)
	}
}

// beat waits until the overridden heartbeat has run everywhere, and sees that browsers are not pinged more often for it.
func (all hookeds) beat() {
	t := all[0].t
	t.Helper()
	var beating sync.WaitGroup
	for _, h := range all {
		beating.Go(func() {
			var pings []time.Time
			for len(pings) < 4 {
				e, ok := h.browser.Next()
				if !ok || e.Kind == "end" {
					t.Errorf("%s: no ping, but %s", h.server, e)
					return
				}
				if stage.IsPing(e) {
					pings = append(pings, e.At)
				}
			}
			if took := pings[3].Sub(pings[0]); took < 6*time.Second {
				t.Errorf("%s: four pings in %s", h.server, took)
			}
			want := "Connection::Base#beat of HookedConnection with []"
			if !stage.Await(func() bool { return slices.Contains(h.noted(), want) }) {
				t.Errorf("%s: beat is not called", h.server)
			}
		})
	}
	beating.Wait()
	for _, h := range all {
		h.forget()
	}
}

// do has everybody do something, and compares what was called of it in any order, since Rails' threads are several.
func (all hookeds) do(what string, act func(*hooks)) {
	t := all[0].t
	t.Helper()
	for _, h := range all {
		act(h)
	}
	called := make([][]string, len(all))
	equal := func() bool {
		for i, h := range all {
			called[i] = h.called()
		}
		for _, calls := range called {
			if len(calls) == 0 || !slices.Equal(calls, called[0]) {
				return false
			}
		}
		return true
	}
	stable := 0
	for deadline := time.Now().Add(stage.Patience); stable < 3 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if equal() {
			stable++
		} else {
			stable = 0
		}
	}
	t.Logf("%s\n    %s", what, strings.Join(called[0], "\n    "))
	for i, h := range all[1:] {
		missing, more := without(called[0], called[i+1]), without(called[i+1], called[0])
		if len(missing)+len(more) > 0 {
			t.Errorf("%s, %s: natively also\n    %s\nand only here\n    %s", h.server, what, strings.Join(missing, "\n    "), strings.Join(more, "\n    "))
		}
	}
	for _, h := range all {
		h.forget()
	}
}

// called are the calls so far, sorted. Heartbeats come when they come.
func (h *hooks) called() []string {
	calls := slices.DeleteFunc(h.noted(), func(call string) bool { return strings.Contains(call, "#beat ") })
	if h.server == "rebuilt" {
		calls = withoutRebuilds(calls)
	}
	slices.Sort(calls)
	return calls
}

// noted is what the event log says of calls.
func (h *hooks) noted() (calls []string) {
	text, err := h.world.App.Request("GET", "/events", "")
	if err != nil {
		h.t.Fatal(err)
	}
	var events []struct {
		Hook      string
		Receiver  any
		Arguments json.RawMessage
	}
	if err := json.Unmarshal([]byte(text), &events); err != nil {
		h.t.Fatal(err)
	}
	for _, e := range events {
		if e.Hook != "" {
			if !h.words {
				e.Arguments = nil
			}
			calls = append(calls, fmt.Sprintf("%s of %v with %s", e.Hook, e.Receiver, e.Arguments))
		}
	}
	return calls
}

// withoutRebuilds leaves out what comes of objects being rebuilt for a command, which natively live on: the handshake passes
// the application's middleware again.
func withoutRebuilds(calls []string) []string {
	starting := func(with string) (some []string) {
		for _, call := range calls {
			if strings.HasPrefix(call, with) {
				some = append(some, call)
			}
		}
		return some
	}
	rebuilds := len(starting("Server::Base#call ")) - len(starting("Connection::Base#handle_open "))
	return without(calls, starting("Server::Base#call ")[:rebuilds])
}

// without are those of the texts that are not among others, each counted.
func without(texts, others []string) (rest []string) {
	others = slices.Clone(others)
	for _, text := range texts {
		if i := slices.Index(others, text); i >= 0 {
			others = slices.Delete(others, i, i+1)
		} else {
			rest = append(rest, text)
		}
	}
	return rest
}
