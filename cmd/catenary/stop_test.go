package main

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestStop_TellsEveryBrowserAndLetsEveryCallbackRun(t *testing.T) {
	w := newWorld(t, "catenary")
	const users = 20
	var conversations []*conversation
	for user := range users {
		c := &conversation{world: w, browsers: map[string]*browser{}}
		conversations = append(conversations, c)
		c.mustPlay(t, fmt.Sprintf("browser> GET /cable?uid=%d", user),
			`server> {"type":"welcome"}`,
			`browser> {"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}`,
			`server> {"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}`)
	}

	w.catenary.process.signal(syscall.SIGTERM)
	for _, c := range conversations {
		c.mustPlay(t, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`, `server> (close 1000)`, `server> (end)`)
	}
	if !w.catenary.process.endsWithin(15 * time.Second) {
		t.Fatal("catenary does not stop")
	}
	if w.catenary.process.err != nil {
		t.Errorf("it ended with %v:\n%s", w.catenary.process.err, w.catenary.process.output.tail())
	}
	for user := range users {
		got, err := w.app.events(fmt.Sprint(user), false)
		want := []string{"connect", `subscribed {"channel":"EchoChannel"}`, `unsubscribed {"channel":"EchoChannel"}`, "disconnect"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("user %d: %v %v", user, got, err)
		}
	}
}

func TestStop_ASecondSignalEndsAtOnce(t *testing.T) {
	w := newWorld(t, "catenary")
	c := &conversation{world: w, browsers: map[string]*browser{}}
	c.mustPlay(t, "browser> GET /cable", `server> {"type":"welcome"}`)
	w.app.process.signal(syscall.SIGSTOP) // the callbacks cannot run
	defer w.app.process.signal(syscall.SIGCONT)

	w.catenary.process.signal(syscall.SIGTERM)
	c.mustPlay(t, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`)
	w.catenary.process.signal(syscall.SIGTERM)
	if !w.catenary.process.endsWithin(3 * time.Second) {
		t.Fatal("catenary waits on")
	}
}

// mustPlay plays lines of a transcript.
func (c *conversation) mustPlay(t *testing.T, lines ...string) {
	t.Helper()
	for _, line := range lines {
		s, err := parseStep(line)
		if err == nil {
			err = c.take([]step{s})
		}
		if err != nil {
			t.Fatalf("%s\n%v", line, err)
		}
	}
}
