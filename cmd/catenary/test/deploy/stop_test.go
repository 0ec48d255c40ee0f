package deploy

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

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

func TestStop_DisconnectsEveryBrowserAndRunsEveryCallback(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	const users = 20
	var conversations []*stage.Conversation
	for user := range users {
		c := &stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}
		conversations = append(conversations, c)
		c.MustPlay(t, fmt.Sprintf("browser> GET /cable?uid=%d", user),
			`server> {"type":"welcome"}`,
			`browser> {"command":"subscribe","identifier":"{\"channel\":\"EchoChannel\"}"}`,
			`server> {"identifier":"{\"channel\":\"EchoChannel\"}","type":"confirm_subscription"}`)
	}

	w.Catenary.Process.Signal(syscall.SIGTERM)
	for _, c := range conversations {
		c.MustPlay(t, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`, `server> (close 1000)`, `server> (end)`)
	}
	if !w.Catenary.Process.WaitForExit() {
		t.Fatal("catenary does not exit")
	}
	if w.Catenary.Process.Err != nil {
		t.Errorf("catenary exited with %v:\n%s", w.Catenary.Process.Err, w.Catenary.Process.Output.Tail())
	}
	for user := range users {
		got, err := w.App.Events(fmt.Sprint(user), stage.Events)
		want := []string{"connect", `subscribed {"channel":"EchoChannel"}`, `unsubscribed {"channel":"EchoChannel"}`, "disconnect"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("user %d: %v %v", user, got, err)
		}
	}
}

func TestStop_ASecondSignalExitsAtOnce(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	w.Catenary.Process.Kill()
	if err := w.Catenary.Up(w.App, "--shutdown-grace", stage.Forever); err != nil {
		t.Fatal(err)
	}
	c := &stage.Conversation{World: w, Browsers: map[string]*stage.Browser{}}
	c.MustPlay(t, "browser> GET /cable", `server> {"type":"welcome"}`)
	w.App.Process.Signal(syscall.SIGSTOP) // the callbacks cannot run
	defer w.App.Process.Signal(syscall.SIGCONT)

	w.Catenary.Process.Signal(syscall.SIGTERM)
	c.MustPlay(t, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`)
	w.Catenary.Process.Signal(syscall.SIGTERM)
	if !w.Catenary.Process.WaitForExit() {
		t.Fatal("catenary still waits")
	}
}

// Rails takes two seconds to open a connection, so catenary disconnects browsers at that pace.
func TestStop_DisconnectsBrowsersOneByOneAndServesTheOthersMeanwhile(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	const users, echo = 6, `{"channel":"EchoChannel"}`
	var browsers [users]*stage.Browser
	var connecting sync.WaitGroup
	for user := range users {
		connecting.Go(func() {
			b, err := stage.Dial(w.Address, stage.Handshake("GET", fmt.Sprintf("/cable?sleep=2&uid=%d", user), w.Address, nil))
			if err != nil {
				t.Error(err)
				return
			}
			b.Send(stage.Command("subscribe", echo, nil))
			if !b.WaitForText("confirm_subscription") {
				t.Errorf("user %d is not subscribed", user)
			}
			browsers[user] = b
		})
	}
	connecting.Wait()
	if t.Failed() {
		return
	}
	w.Catenary.Process.Signal(syscall.SIGTERM)

	// catenary is not ready and rejects new connections, so that they go to another node.
	if err := w.Catenary.Process.WaitFor(func() error {
		body, err := stage.Get("http://" + w.Catenary.Operations + "/ready")
		if err == nil {
			err = stage.Mentions(body, []string{"catenary is stopping"})
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	newcomer, err := stage.Dial(w.Address, stage.Handshake("GET", "/cable", w.Address, nil))
	if err != nil || newcomer.Response.StatusCode != http.StatusServiceUnavailable || newcomer.Response.Header.Get("Retry-After") == "" {
		t.Errorf("a new connection was answered with %v %v", newcomer.Response, err)
	}
	var served, disconnected atomic.Int32
	var disconnecting sync.WaitGroup
	for _, b := range browsers {
		b.Send(stage.Command("message", echo, `{"action":"echo"}`))
		disconnecting.Go(func() {
			for {
				switch e, ok := b.Next(); {
				case !ok:
					t.Error("nothing arrives at the browser")
					return
				case strings.Contains(e.Text, `"message":{"action":"echo"}`):
					served.Add(1)
				case e.Text == `{"type":"disconnect","reason":"server_restart","reconnect":true}`:
					disconnected.Add(1)
				case e.Kind == "end":
					return
				}
			}
		})
	}
	disconnecting.Wait()
	if disconnected.Load() != users || served.Load() == 0 {
		t.Errorf("%d of %d browsers got a disconnect, %d were served before it", disconnected.Load(), users, served.Load())
	}
	if !w.Catenary.Process.WaitForExit() || w.Catenary.Process.Err != nil {
		t.Errorf("catenary exited with %v\n%s", w.Catenary.Process.Err, w.Catenary.Process.Output.Tail())
	}
	for user := range users {
		if err := w.App.AwaitEvents(fmt.Sprint(user), stage.Events, []string{"connect", "subscribed " + echo, "unsubscribed " + echo, "disconnect"}); err != nil {
			t.Errorf("user %d: %v", user, err)
		}
	}
}

func TestStop_AcceptsBrowsersDuringTheShutdownDelay(t *testing.T) {
	c, catenary := converse(t, "--shutdown-delay", "20s")
	catenary.Process.Signal(syscall.SIGTERM)
	if err := catenary.Process.WaitFor(func() error {
		if catenary.Ready() == nil {
			return errors.New("catenary is still ready")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	c.MustPlay(t, "browser> GET /cable", `server> {"type":"welcome"}`, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`)
	if !catenary.Process.WaitForExit() || catenary.Process.Err != nil {
		t.Errorf("catenary exited with %v", catenary.Process.Err)
	}
}

func TestStop_AlsoHappensWhenTheTerminalCloses(t *testing.T) {
	c, catenary := converse(t)
	c.MustPlay(t, "browser> GET /cable", `server> {"type":"welcome"}`)
	catenary.Process.Signal(syscall.SIGHUP)
	c.MustPlay(t, `server> {"type":"disconnect","reason":"server_restart","reconnect":true}`)
	if !catenary.Process.WaitForExit() || catenary.Process.Err != nil {
		t.Errorf("catenary exited with %v", catenary.Process.Err)
	}
}

// converse starts a catenary in a healthy world, and a conversation with it.
func converse(t *testing.T, flags ...string) (*stage.Conversation, *stage.Catenary) {
	t.Helper()
	w := healthyWorld(t)
	catenary, err := stage.StartCatenary(w.App, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(catenary.Process.Kill)
	before := &stage.World{Redis: w.Redis, App: w.App, Catenary: catenary, Address: catenary.Address}
	return &stage.Conversation{World: before, Browsers: map[string]*stage.Browser{}}, catenary
}

func TestStop_ExitsCleanlyWhileWaitingForRails(t *testing.T) {
	t.Parallel()
	catenary := stage.Launch(t, stage.WithSecret, "--backend-url", "http://"+stage.FreeAddress())
	catenary.ExpectNotReady(t, "not ready")
	catenary.Process.Signal(syscall.SIGTERM)
	if !catenary.Process.WaitForExit() || catenary.Process.Err != nil {
		t.Errorf("catenary exited with %v\n%s", catenary.Process.Err, catenary.Process.Output.Tail())
	}
}

func TestStop_FinishesWebRequests(t *testing.T) {
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
	catenary := stage.Launch(t, stage.WithSecret, "--backend-url", rails.URL, "--proxy", "--broadcasts-redis-url", "redis://"+stage.FreeAddress(), "--broadcasts-channel-prefix", "app")
	err := catenary.Process.WaitFor(func() error { // pages do not wait for the gem, which this server does not have
		body, err := stage.Get("http://" + catenary.Address)
		if err == nil {
			err = stage.Mentions(body, []string{"a page"})
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	page := make(chan string)
	go func() {
		response, err := http.Get("http://" + catenary.Address + "/slow")
		if err != nil {
			page <- err.Error()
			return
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		page <- fmt.Sprint(string(body), err)
	}()
	<-asked
	catenary.Process.Signal(syscall.SIGTERM)
	if err := catenary.Process.WaitFor(func() error {
		_, err := net.DialTimeout("tcp", catenary.Address, stage.Patience)
		if err == nil {
			return errors.New("catenary still listens")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	close(answer)
	if got := <-page; got != "a page<nil>" {
		t.Errorf("the page is %s", got)
	}
	if !catenary.Process.WaitForExit() || catenary.Process.Err != nil {
		t.Errorf("catenary exited with %v", catenary.Process.Err)
	}
}
