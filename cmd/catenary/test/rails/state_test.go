package rails

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// TestState_WhatCannotBeKeptIsNamedOnce: an operator learns which variable of which channel a rebuilt object will lack.
func TestState_WhatCannotBeKeptIsNamedOnce(t *testing.T) {
	w, err := stage.StartWorld("catenary", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	const identifier = `{"channel":"KeepsakeChannel"}`
	for range 2 {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		b.Send(stage.Command("subscribe", identifier, nil))
		for _, want := range []string{`{"type":"welcome"}`, stage.Confirmation(identifier)} {
			if e, ok := stage.NextFrame(b, stage.Patience); !ok || e.Text != want {
				t.Fatalf("got %s and not %s", e, want)
			}
		}
	}
	if err := w.Catenary.Process.WaitFor(stage.Patience, func() error { return stage.Says(w.Catenary.Process, "@waiting") }); err != nil {
		t.Error(err)
	}
	log := w.Catenary.Process.Output.String()
	for _, variable := range []string{"@lock (a Thread::Mutex)", "@greeting (a Proc)", "@waiting (a Thread::Queue)"} {
		if n := strings.Count(log, "KeepsakeChannel: "+variable); n != 1 {
			t.Errorf("%d warnings name %s:\n%s", n, variable, w.Catenary.Process.Output.Tail())
		}
	}
}

// TestState_OutlivesARestartOfRails: the objects are rebuilt in the new process, and nobody is disconnected.
func TestState_OutlivesARestartOfRails(t *testing.T) {
	w, err := stage.StartWorld("catenary", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	const identifier = `{"channel":"CounterChannel","owner":5}`
	var browsers []*stage.Browser
	for range 20 {
		b, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable?tenant=acme", w.Address, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		browsers = append(browsers, b)
	}
	everybody := func(text string, want ...string) {
		t.Helper()
		for _, b := range browsers {
			if text != "" {
				b.Send(text)
			}
		}
		for _, b := range browsers {
			for _, frame := range want {
				if e, ok := stage.NextFrame(b, 20*time.Second); !ok || !strings.Contains(e.Text, frame) {
					t.Fatalf("got %s and not %s", e, frame)
				}
			}
		}
	}
	increment := stage.Command("message", identifier, `{"action":"increment"}`)
	everybody(stage.Command("subscribe", identifier, nil), "welcome", "confirm_subscription")
	everybody(increment, `"count":1,"owner":"5","greeting":"hello acme"`)
	everybody(increment, `"count":2,`)
	time.Sleep(1500 * time.Millisecond) // the state is fetched when things have been quiet for a while
	w.App.Restart(t)
	everybody(increment, `"count":3,"owner":"5","greeting":"hello acme"`)
	for _, b := range browsers {
		b.Close()
	}
	for deadline := time.Now().Add(stage.Patience); ; time.Sleep(100 * time.Millisecond) {
		events, err := w.App.Events("1", false)
		if err != nil {
			t.Fatal(err)
		}
		ends := slices.DeleteFunc(events, func(event string) bool { return event != "disconnect" })
		if len(ends) == len(browsers) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d ends were told", len(ends), len(browsers))
		}
	}
}
