package rails

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// Channels as real applications write them work natively and behind catenary, with one Rails
// process and with three. After Rails restarts, browsers reconnect natively, and stay connected
// behind catenary.
func TestChannels_OfRealAppsWorkAcrossARestart(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"rails", "catenary"} {
		for _, processes := range []string{"0", "3"} { // 0: one process without workers
			t.Run(fmt.Sprintf("%s, WEB_CONCURRENCY=%s", server, processes), func(t *testing.T) {
				t.Parallel()
				w, err := stage.StartWorld(server, "", "WEB_CONCURRENCY="+processes, "LAB_LOG="+filepath.Join(t.TempDir(), "events"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(w.Close)
				app := realApp{w, t, server == "rails"}
				var afterRestart []func()
				for _, story := range []func(realApp) func(){answers, appearances, document, cursors, tenants, liveQueries} {
					afterRestart = append(afterRestart, story(app))
				}
				w.App.Restart(t)
				for _, resume := range afterRestart {
					resume()
				}
			})
		}
	}
}

// answers: tokens of a language model arrive in order, for one browser or for all, from the action,
// a thread or a job.
func answers(app realApp) func() {
	const identifier = `{"channel":"AnswersChannel","id":1}`
	asks, looksOn := app.visitor("?uid=1", identifier), app.visitor("?uid=2", identifier)
	tokens := []string{`{"token":"in"}`, `{"token":"the"}`, `{"token":"order"}`, `{"token":"of"}`, `{"token":"words"}`}
	thinking := []string{`{"thinking":true}`}
	ask := func(action string) { asks.perform(action, "question", "in the order of words") }
	round := func(asked int) {
		ask("ask")
		asks.expect(append(tokens[:5:5], fmt.Sprintf(`{"answered":%d}`, asked+1)))
		ask("ask_in_thread")
		asks.expect(append(tokens[:5:5], fmt.Sprintf(`{"answered":%d}`, asked+2)))
		for _, action := range []string{"ask_for_all", "ask_in_job"} {
			ask(action)
			asks.expect(append(thinking[:1:1], tokens...))
			looksOn.expect(tokens)
		}
	}
	round(0)
	return func() {
		asks.reconnectIfNative()
		looksOn.reconnectIfNative()
		if app.native { // the channel object is new, so its count starts again
			round(0)
		} else {
			round(2)
		}
	}
}

// appearances: everybody sees the same list of people, in whatever process their tabs are.
func appearances(app realApp) func() {
	const identifier = `{"channel":"AppearanceChannel","room":1}`
	ann, bob, anns := app.visitor("?uid=ann", identifier), app.visitor("?uid=bob", identifier), app.visitor("?uid=ann", identifier)
	all := []*visitor{ann, bob, anns}
	see := func(here string) {
		for _, v := range all {
			v.expect([]string{here})
		}
	}
	ann.perform("appear")
	see(`{"here":["ann","bob"],"away":[]}`)
	bob.perform("away")
	see(`{"here":["ann"],"away":["bob"]}`)
	anns.browser.Close()
	all = all[:2]
	see(`{"here":["ann"],"away":["bob"]}`)
	return func() {
		ann.reconnectIfNative()
		bob.reconnectIfNative()
		bob.perform("appear")
		see(`{"here":["ann","bob"],"away":[]}`)
		bob.browser.Close()
		all = all[:1]
		if app.native { // the restart dropped bob without unsubscribed, so he was counted twice
			see(`{"here":["ann","bob"],"away":[]}`)
		} else {
			see(`{"here":["ann"],"away":[]}`)
		}
	}
}

// document: everybody gets every update of each author in order, and somebody who joins while they
// write misses none.
func document(app realApp) func() {
	const identifier = `{"channel":"DocumentChannel","id":1}`
	authors := []*visitor{app.visitor("?uid=1", identifier), app.visitor("?uid=2", identifier), app.visitor("?uid=3", identifier)}
	var written []string
	write := func(count int, meanwhile func()) {
		updates := make([][]string, len(authors))
		for n := range count {
			for i, author := range authors {
				update := base64.StdEncoding.EncodeToString([]byte{byte(i), byte(len(written)), byte(n), 0xfb, 0xff})
				author.perform("receive", "update", update)
				updates[i] = append(updates[i], `{"update":"`+update+`"}`)
			}
		}
		meanwhile()
		for _, reader := range authors {
			reader.expect(updates...)
		}
		written = slices.Concat(append(updates, written)...)
	}
	write(20, func() {})
	var comes *visitor
	write(20, func() { comes = app.visitor("?uid=4", identifier) })
	comes.perform("sync", "known", 0)
	comes.expectUpdates(written)
	return func() {
		for _, author := range append(authors, comes) {
			author.reconnectIfNative()
		}
		app.visitor("?uid=5", identifier).expectUpdates(written)
		write(10, func() {})
		comes.expectUpdates(written[:30])
	}
}

// cursors: everybody sees every move, those of one user in order.
func cursors(app realApp) func() {
	const identifier = `{"channel":"CursorsChannel","board":1}`
	users := []*visitor{app.visitor("?uid=1", identifier), app.visitor("?uid=2", identifier), app.visitor("?uid=3", identifier)}
	move := func() {
		moves := make([][]string, len(users))
		for x := range 40 {
			for i, user := range users {
				user.perform("move", "x", x, "y", -x)
				moves[i] = append(moves[i], fmt.Sprintf(`{"user":"%d","x":%d,"y":%d}`, i+1, x, -x))
			}
		}
		for _, user := range users {
			user.expect(moves...)
		}
	}
	move()
	return func() {
		for _, user := range users {
			user.reconnectIfNative()
		}
		move()
	}
}

// tenants: everybody sees only the tenant of their own.
func tenants(app realApp) func() {
	acme, globex := app.visitor("?"+asMemberOf("acme"), member), app.visitor("?"+asMemberOf("globex"), member)
	look := func() {
		acme.perform("who")
		acme.expect([]string{`{"user":"7 of acme","colleague":"8 of acme","tenant":"acme"}`})
		globex.perform("who")
		globex.expect([]string{`{"user":"7 of globex","colleague":"8 of globex","tenant":"globex"}`})
	}
	look()
	return func() {
		acme.reconnectIfNative()
		globex.reconnectIfNative()
		look()
	}
}

// liveQueries: queries live in the memory of a process, so after it is gone browsers must
// reconnect.
func liveQueries(app realApp) func() {
	var clients []*graphqlClient
	for n := range 4 {
		clients = append(clients, &graphqlClient{t: app.t, world: app.World, query: fmt.Sprint("query ", n), topic: fmt.Sprint("topic ", n)})
	}
	round := func(n int) {
		connect(clients...)
		if !stage.Await(func() bool { // natively they are answered before their streams are live
			streams, err := app.Redis.Client.PubSubChannels(context.Background(), "graphql-*").Result()
			return err == nil && len(streams) == 2*len(clients)
		}) {
			app.t.Fatal("the streams of the queries are not live")
		}
		for _, c := range clients {
			if err := app.App.Ask(fmt.Sprintf(`POST /trigger {"topic":%q,"object":{"n":%d}}`, c.topic, n)); err != nil {
				app.t.Fatal(err)
			}
			c.expectResult(n)
		}
	}
	round(1)
	return func() {
		for _, c := range clients {
			if app.native {
				awaitEnd(app.t, c.browser)
			} else {
				c.expectReconnect()
			}
		}
		round(2)
		for _, c := range clients {
			c.browser.Close()
		}
	}
}

// A realApp is the lab application, natively or behind catenary.
type realApp struct {
	*stage.World
	t      *testing.T
	native bool
}

// A visitor is a browser that subscribes to a channel, and does so again after it was disconnected.
type visitor struct {
	realApp
	path, identifier string
	browser          *stage.Browser
	early            []string // messages before the confirmation
}

func (app realApp) visitor(query, identifier string) *visitor {
	app.t.Helper()
	v := &visitor{realApp: app, path: "/cable" + query, identifier: identifier}
	v.connect()
	return v
}

func (v *visitor) connect() {
	v.t.Helper()
	var err error
	if v.browser, err = stage.Dial(v.Address, stage.Handshake("GET", v.path, v.Address, nil)); err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(v.browser.Close)
	if e, ok := stage.NextFrame(v.browser); !ok || e.Text != stage.Welcome {
		v.t.Fatalf("%s: got %s and no welcome", v.path, e)
	}
	v.browser.Send(stage.Command("subscribe", v.identifier, nil))
	v.early = nil
	for {
		e, ok := stage.NextFrame(v.browser)
		if e.Text == stage.Confirmation(v.identifier) {
			return
		}
		v.early = append(v.early, v.message(e, ok))
	}
}

// reconnectIfNative reconnects after a restart of Rails if it is native. Behind catenary the
// browser stays.
func (v *visitor) reconnectIfNative() {
	v.t.Helper()
	if v.native {
		awaitEnd(v.t, v.browser)
		v.connect()
	}
}

func awaitEnd(t *testing.T, b *stage.Browser) {
	t.Helper()
	for e, ok := b.Next(); e.Kind != "end"; e, ok = b.Next() {
		if !ok {
			t.Fatal("the connection outlives its process")
		}
	}
	b.Close()
}

func (v *visitor) perform(action string, data ...any) {
	command := map[string]any{"action": action}
	for i := 0; i < len(data); i += 2 {
		command[data[i].(string)] = data[i+1]
	}
	text, _ := json.Marshal(command)
	v.browser.Send(stage.Command("message", v.identifier, string(text)))
}

// expect expects all messages of some lists, in the order of each list. Natively commands and
// broadcasts may overtake each other, so the order is not compared.
func (v *visitor) expect(lists ...[]string) {
	v.t.Helper()
	want := slices.Concat(lists...)
	var got []string
	for range want {
		e, ok := stage.NextFrame(v.browser)
		got = append(got, v.message(e, ok))
	}
	if v.native {
		lists = [][]string{slices.Sorted(slices.Values(want))}
		slices.Sort(got)
	}
	for _, list := range lists {
		ofList := slices.DeleteFunc(slices.Clone(got), func(message string) bool { return !slices.Contains(list, message) })
		if !slices.Equal(ofList, list) {
			v.t.Fatalf("%s got\n%q\nwant\n%q", v.path, ofList, list)
		}
	}
}

// message returns the message of a frame for this channel.
func (v *visitor) message(e stage.Event, ok bool) string {
	v.t.Helper()
	var frame struct {
		Identifier string
		Message    json.RawMessage
	}
	if err := json.Unmarshal([]byte(e.Text), &frame); !ok || err != nil || frame.Identifier != v.identifier || frame.Message == nil {
		v.t.Fatalf("%s: got %q, want a message for %s", v.path, e, v.identifier)
	}
	return string(frame.Message)
}

// expectUpdates merges messages, those before the confirmation too, until all of these updates are
// there.
func (v *visitor) expectUpdates(messages []string) {
	v.t.Helper()
	missing := map[string]bool{}
	for _, message := range messages {
		missing[message] = true
	}
	merge := func(message string) {
		var step struct{ Sync []string }
		if err := json.Unmarshal([]byte(message), &step); err != nil {
			v.t.Fatal(err)
		}
		for _, update := range step.Sync {
			delete(missing, `{"update":"`+update+`"}`)
		}
		delete(missing, message)
	}
	for _, message := range v.early {
		merge(message)
	}
	for v.early = nil; len(missing) > 0; {
		e, ok := stage.NextFrame(v.browser)
		merge(v.message(e, ok))
	}
}
