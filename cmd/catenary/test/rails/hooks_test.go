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

// Methods of Action Cable that an application or its monitoring overrides are called as often as
// natively, on the same objects and with the same arguments.
func TestHooks_OverriddenMethodsAreCalledAsNatively(t *testing.T) {
	t.Parallel()
	all := startHookServers(t, []string{"rails", "catenary", "post", "rebuilt"})
	const identifier = `{"channel":"HooksChannel"}`
	all.do("connect", func(h *hookServer) { h.connect("/cable?uid=hooks") })
	all.do("subscribe", func(h *hookServer) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	all.expectBeat()
	all.do("subscribe to nothing", func(h *hookServer) { h.browser.Send(stage.Command("subscribe", `{"channel":"NobodysChannel"}`, nil)) })
	all.do("perform", func(h *hookServer) { h.browser.Send(stage.Command("message", identifier, `{"action":"echo","n":1}`)) })
	all.do("perform nothing", func(h *hookServer) { h.browser.Send(stage.Command("message", identifier, `{"action":"nothing"}`)) })
	all.do("no JSON", func(h *hookServer) { h.browser.Send("{") })
	all.do("no command", func(h *hookServer) { h.browser.Send(`{"command":"dance"}`) })
	all.do("stop a stream", func(h *hookServer) { h.browser.Send(stage.Command("message", identifier, `{"action":"stop"}`)) })
	all.do("unsubscribe", func(h *hookServer) { h.browser.Send(stage.Command("unsubscribe", identifier, nil)) })
	all.do("subscribe once more", func(h *hookServer) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	all.do("vanish", func(h *hookServer) { h.browser.Close() })

	all.do("connect again", func(h *hookServer) { h.connect("/cable?uid=hooks") })
	all.do("subscribe", func(h *hookServer) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	all.do("have it closed", func(h *hookServer) { h.browser.Send(stage.Command("message", identifier, `{"action":"leave"}`)) })
	for _, code := range []int{0, 1001, 4001} {
		all.do("connect to say goodbye", func(h *hookServer) { h.connect("/cable?uid=hooks") })
		all.do(fmt.Sprintf("close with %d", code), func(h *hookServer) {
			payload := []byte(nil)
			if code > 0 {
				payload = stage.ClosePayload(code, "bye")
			}
			h.browser.Write(stage.OpClose, payload)
		})
	}
	all.do("connect to break the protocol", func(h *hookServer) { h.connect("/cable?uid=hooks") })
	for _, h := range all {
		h.compareArguments = false // they include the text of the error
	}
	all.do("an unmasked frame", func(h *hookServer) { h.browser.WriteRaw([]byte{0x81, 1, 'x'}) })
	for _, h := range all {
		h.compareArguments = true
	}
	all.do("be rejected", func(h *hookServer) { h.connect("/cable?uid=hooks&mode=reject") })
}

// An application that overrides transmit also gets the messages of streams that catenary would
// otherwise deliver without Rails.
func TestHooks_AnOverriddenTransmitSeesEveryMessage(t *testing.T) {
	t.Parallel()
	all := startHookServers(t, []string{"rails", "catenary", "post"}, "LAB_HOOKS_TRANSMIT=true")
	const identifier = `{"channel":"HooksChannel"}`
	all.do("connect", func(h *hookServer) { h.connect("/cable?uid=hooks") })
	all.do("subscribe", func(h *hookServer) { h.browser.Send(stage.Command("subscribe", identifier, nil)) })
	for _, h := range all {
		o := &subscriber{h.browser, t, identifier}
		o.expect(stage.Welcome, stage.Confirmation(identifier))
	}
	for _, stream := range []string{"hooks", "hooked"} {
		all.do("a broadcast on "+stream, func(h *hookServer) {
			if err := h.world.App.Ask(`POST /broadcast {"stream":"` + stream + `","message":{"n":1}}`); err != nil {
				t.Error(err)
			}
		})
	}
}

// A hookServer is one server that records the calls of overridden methods.
type hookServer struct {
	t                *testing.T
	server           string
	world            *stage.World
	browser          *stage.Browser
	compareArguments bool // compare the arguments too
}

type hookServers []*hookServer

// startHookServers starts the servers. The first is native Rails.
func startHookServers(t *testing.T, servers []string, env ...string) hookServers {
	all := make(hookServers, len(servers))
	var starting sync.WaitGroup
	for i, server := range servers {
		starting.Go(func() {
			w, err := stage.StartWorld(server, "own", append(env, "LAB_HOOKS=true", "LAB_WORKERS=1")...)
			if err != nil {
				t.Error(err)
				return
			}
			all[i] = &hookServer{t: t, server: server, world: w, compareArguments: true}
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
		t.Fatal(err) // the connection of WarmUpCable
	}
	for _, h := range all {
		h.reset()
	}
	return all
}

func (h *hookServer) connect(path string) {
	if h.browser != nil {
		h.browser.Close()
	}
	var err error
	if h.browser, err = stage.Dial(h.world.Address, stage.Handshake("GET", path, h.world.Address, nil)); err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(h.browser.Close)
}

func (h *hookServer) reset() {
	if err := h.world.App.Ask("DELETE /events"); err != nil {
		h.t.Fatal(err)
	}
}

// expectBeat waits until every server has called the overridden beat, and checks that it does not
// make the server ping more often.
func (all hookServers) expectBeat() {
	t := all[0].t
	t.Helper()
	var beating sync.WaitGroup
	for _, h := range all {
		beating.Go(func() {
			var pings []time.Time
			for len(pings) < 4 {
				e, ok := h.browser.Next()
				if !ok || e.Kind == "end" {
					t.Errorf("%s: got %s, want a ping", h.server, e)
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
			if !stage.Await(func() bool { return slices.Contains(h.recordedCalls(), want) }) {
				t.Errorf("%s: beat was not called", h.server)
			}
		})
	}
	beating.Wait()
	for _, h := range all {
		h.reset()
	}
}

// do makes all servers act and compares the calls, in any order because Rails has several threads.
func (all hookServers) do(what string, act func(*hookServer)) {
	t := all[0].t
	t.Helper()
	for _, h := range all {
		act(h)
	}
	called := make([][]string, len(all))
	equal := func() bool {
		for i, h := range all {
			called[i] = h.comparableCalls()
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
		missing, more := subtract(called[0], called[i+1]), subtract(called[i+1], called[0])
		if len(missing)+len(more) > 0 {
			t.Errorf("%s, %s: only natively\n    %s\nonly here\n    %s", h.server, what, strings.Join(missing, "\n    "), strings.Join(more, "\n    "))
		}
	}
	for _, h := range all {
		h.reset()
	}
}

// comparableCalls returns the calls so far, sorted, without heartbeats, which come at any time.
func (h *hookServer) comparableCalls() []string {
	calls := slices.DeleteFunc(h.recordedCalls(), func(call string) bool { return strings.Contains(call, "#beat ") })
	if h.server == "rebuilt" {
		calls = withoutRebuilds(calls)
	}
	slices.Sort(calls)
	return calls
}

// recordedCalls returns the calls in the event log.
func (h *hookServer) recordedCalls() (calls []string) {
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
			if !h.compareArguments {
				e.Arguments = nil
			}
			calls = append(calls, fmt.Sprintf("%s of %v with %s", e.Hook, e.Receiver, e.Arguments))
		}
	}
	return calls
}

// withoutRebuilds leaves out the calls of rebuilding objects for a command: the handshake passes
// through the application's middleware again.
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
	return subtract(calls, starting("Server::Base#call ")[:rebuilds])
}

// subtract returns texts without others, counting repeated ones.
func subtract(texts, others []string) (rest []string) {
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
