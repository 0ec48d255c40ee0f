package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestState_WhatCannotBeKeptIsNamedOnce: an operator learns which variable of which channel a rebuilt object will lack.
func TestState_WhatCannotBeKeptIsNamedOnce(t *testing.T) {
	w, err := startWorld("catenary", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	const identifier = `{"channel":"KeepsakeChannel"}`
	for range 2 {
		b, err := dial(w.address, handshake("GET", "/cable", w.address, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		b.send(command("subscribe", identifier, nil))
		for _, want := range []string{`{"type":"welcome"}`, confirmation(identifier)} {
			if e, ok := nextFrame(b, patience); !ok || e.text != want {
				t.Fatalf("got %s and not %s", e, want)
			}
		}
	}
	if err := w.catenary.process.waitFor(patience, func() error { return says(w.catenary.process, "@waiting") }); err != nil {
		t.Error(err)
	}
	log := w.catenary.process.output.String()
	for _, variable := range []string{"@lock (a Thread::Mutex)", "@greeting (a Proc)", "@waiting (a Thread::Queue)"} {
		if n := strings.Count(log, "KeepsakeChannel: "+variable); n != 1 {
			t.Errorf("%d warnings name %s:\n%s", n, variable, w.catenary.process.output.tail())
		}
	}
}

// TestState_OutlivesARestartOfRails: the objects are rebuilt in the new process, and nobody is disconnected.
func TestState_OutlivesARestartOfRails(t *testing.T) {
	w, err := startWorld("catenary", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	const identifier = `{"channel":"CounterChannel","owner":5}`
	var browsers []*browser
	for range 20 {
		b, err := dial(w.address, handshake("GET", "/cable?tenant=acme", w.address, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer b.close()
		browsers = append(browsers, b)
	}
	everybody := func(text string, want ...string) {
		t.Helper()
		for _, b := range browsers {
			if text != "" {
				b.send(text)
			}
		}
		for _, b := range browsers {
			for _, frame := range want {
				if e, ok := nextFrame(b, 20*time.Second); !ok || !strings.Contains(e.text, frame) {
					t.Fatalf("got %s and not %s", e, frame)
				}
			}
		}
	}
	increment := command("message", identifier, `{"action":"increment"}`)
	everybody(command("subscribe", identifier, nil), "welcome", "confirm_subscription")
	everybody(increment, `"count":1,"owner":"5","greeting":"hello acme"`)
	everybody(increment, `"count":2,`)
	time.Sleep(1500 * time.Millisecond) // the state is fetched when things have been quiet for a while
	w.app.restart(t)
	everybody(increment, `"count":3,"owner":"5","greeting":"hello acme"`)
	for _, b := range browsers {
		b.close()
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		events, err := w.app.events("1", false)
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
