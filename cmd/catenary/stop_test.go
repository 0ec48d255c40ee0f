package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

// Rails takes half a second to open a connection, so browsers are told at that pace.
func TestStop_TellsBrowsersOneByOneAndServesTheOthersMeanwhile(t *testing.T) {
	w := newWorld(t, "catenary")
	const users, echo = 6, `{"channel":"EchoChannel"}`
	var browsers [users]*browser
	var coming sync.WaitGroup
	for user := range users {
		coming.Go(func() {
			b, err := dial(w.address, handshake("GET", fmt.Sprintf("/cable?sleep=0.5&uid=%d", user), w.address, nil))
			if err != nil {
				t.Error(err)
				return
			}
			b.send(command("subscribe", echo, nil))
			if !b.awaits("confirm_subscription") {
				t.Errorf("user %d is not subscribed", user)
			}
			browsers[user] = b
		})
	}
	if coming.Wait(); t.Failed() {
		return
	}
	w.catenary.process.signal(syscall.SIGTERM)

	// /ready says no, and who comes is sent to another node, while the rest is served.
	if err := w.catenary.process.waitFor(10*time.Second, func() error {
		body, err := get("http://" + w.catenary.operations + "/ready")
		if err == nil {
			err = mentions(body, []string{"being stopped"})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	comer, err := dial(w.address, handshake("GET", "/cable", w.address, nil))
	if err != nil || comer.response.StatusCode != http.StatusServiceUnavailable || comer.response.Header.Get("Retry-After") == "" {
		t.Errorf("who comes is answered %v %v", comer.response, err)
	}
	var served, told atomic.Int32
	var going sync.WaitGroup
	for _, b := range browsers {
		b.send(command("message", echo, `{"action":"echo"}`))
		going.Go(func() {
			for {
				switch e, ok := b.next(20 * time.Second); {
				case !ok:
					t.Error("the browser hears nothing")
					return
				case strings.Contains(e.text, `"message":{"action":"echo"}`):
					served.Add(1)
				case e.text == `{"type":"disconnect","reason":"server_restart","reconnect":true}`:
					told.Add(1)
				case e.kind == "end":
					return
				}
			}
		})
	}
	going.Wait()
	if told.Load() != users || served.Load() == 0 {
		t.Errorf("%d of %d browsers were told, %d were served until then", told.Load(), users, served.Load())
	}
	if !w.catenary.process.endsWithin(15*time.Second) || w.catenary.process.err != nil {
		t.Errorf("it did not end well: %v\n%s", w.catenary.process.err, w.catenary.process.output.tail())
	}
	for user := range users {
		if err := w.app.awaitEvents(fmt.Sprint(user), false, []string{"connect", "subscribed " + echo, "unsubscribed " + echo, "disconnect"}); err != nil {
			t.Errorf("user %d: %v", user, err)
		}
	}
}

func TestStop_LetsBrowsersInForADelay(t *testing.T) {
	w := newWorld(t, "catenary")
	catenary, err := startCatenary(w.app, "--shutdown-delay", "5s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catenary.process.kill)
	catenary.process.signal(syscall.SIGTERM)
	if err := catenary.process.waitFor(10*time.Second, func() error {
		if catenary.ready() == nil {
			return errors.New("it is ready")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	w.address = catenary.address
	c := &conversation{world: w, browsers: map[string]*browser{}}
	c.mustPlay(t, "browser> GET /cable", `server> {"type":"welcome"}`, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`)
	if !catenary.process.endsWithin(10*time.Second) || catenary.process.err != nil {
		t.Errorf("it did not end well: %v", catenary.process.err)
	}
}

func TestStop_IsWhatAClosedTerminalMeans(t *testing.T) {
	w := newWorld(t, "catenary")
	c := &conversation{world: w, browsers: map[string]*browser{}}
	c.mustPlay(t, "browser> GET /cable", `server> {"type":"welcome"}`)
	w.catenary.process.signal(syscall.SIGHUP)
	c.mustPlay(t, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`)
	if !w.catenary.process.endsWithin(10*time.Second) || w.catenary.process.err != nil {
		t.Errorf("it did not end well: %v", w.catenary.process.err)
	}
}

func TestStop_EndsWellWhileItStillWaitsForRails(t *testing.T) {
	t.Parallel()
	catenary := attempt(t, withSecret, "--backend-url", "http://"+freeAddress())
	catenary.isNotReadySaying(t, "not ready")
	catenary.process.signal(syscall.SIGTERM)
	if !catenary.process.endsWithin(10*time.Second) || catenary.process.err != nil {
		t.Errorf("it did not end well: %v\n%s", catenary.process.err, catenary.process.output.tail())
	}
}

func TestStop_SeesRequestsOfTheWebThrough(t *testing.T) {
	t.Parallel()
	asked, answer := make(chan bool), make(chan bool)
	rails := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(asked)
			<-answer
		}
		fmt.Fprint(w, "a page")
	}))
	t.Cleanup(rails.Close)
	catenary := attempt(t, withSecret, "--backend-url", rails.URL, "--proxy", "--broadcasts-redis-url", "redis://"+freeAddress(), "--broadcasts-channel-prefix", "app")
	if err := catenary.process.waitFor(10*time.Second, func() error { return says(catenary.process, "catenary listens") }); err != nil {
		t.Fatal(err)
	}
	page := make(chan string)
	go func() {
		response, err := http.Get("http://" + catenary.address + "/slow")
		if err != nil {
			page <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		page <- fmt.Sprint(string(body), err)
	}()
	<-asked
	catenary.process.signal(syscall.SIGTERM)
	if err := catenary.process.waitFor(10*time.Second, func() error {
		_, err := net.DialTimeout("tcp", catenary.address, time.Second)
		if err == nil {
			return errors.New("it still listens")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	close(answer)
	if got := <-page; got != "a page<nil>" {
		t.Errorf("the page is %s", got)
	}
	if !catenary.process.endsWithin(10*time.Second) || catenary.process.err != nil {
		t.Errorf("it did not end well: %v", catenary.process.err)
	}
}

// awaits reports whether a text with these words comes.
func (b *browser) awaits(words string) bool {
	for {
		e, ok := b.next(2 * patience)
		if !ok || e.kind == "end" {
			return false
		}
		if strings.Contains(e.text, words) {
			return true
		}
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
