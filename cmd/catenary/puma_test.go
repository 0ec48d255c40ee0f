package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// railsVersion is the Rails that the tests run against: RAILS=6.1 (the default) or 7.2.
func railsVersion() string {
	if version := os.Getenv("RAILS"); version != "" {
		return version
	}
	return "6.1"
}

// An app is one of the Rails applications in testdata under Puma. It keeps its address when it is restarted.
type app struct {
	address string
	folder  string
	env     []string
	process *process
}

// boots are the first starts of Puma that may go on at once: a Rails that boots takes a core, and with too many none is
// ready in time. A restart does not wait, for its test has begun.
var boots = make(chan struct{}, max(2, runtime.NumCPU()))

// startApp starts testdata/folder. With the gem it is the backend of a catenary, without it native Action Cable.
func startApp(folder string, withGem bool, env ...string) (*app, error) {
	env = append([]string{"RAILS=" + railsVersion(), "SECRET_KEY_BASE=" + secretKeyBase, "LAB_LOG_LEVEL=info"}, env...)
	if withGem {
		env = append(env, "RUBYLIB="+projectRoot+"/rpc/rails/lib")
	}
	a := &app{address: freeAddress(), folder: folder, env: env}
	boots <- struct{}{}
	defer func() { <-boots }()
	return a, a.up()
}

// secretKeyBase is the one of the application, and so what catenary signs its calls with.
var secretKeyBase = strings.Repeat("0123456789abcdef", 8)

func (a *app) up() (err error) {
	a.process, err = start(projectRoot, a.env, projectRoot+"/script/puma", "testdata/"+a.folder, "--bind", "tcp://"+a.address)
	if err != nil {
		return err
	}
	return a.process.waitFor(60*time.Second, func() error {
		response, err := http.Get(a.url() + "/up")
		if err == nil {
			response.Body.Close()
		}
		return err
	})
}

func (a *app) url() string { return "http://" + a.address }

func (a *app) restart(t *testing.T) {
	t.Helper()
	a.process.stop(t)
	if err := a.up(); err != nil {
		t.Fatal(err)
	}
}

func (a *app) close() {
	a.process.signal(syscall.SIGTERM)
	if !a.process.endsWithin(3 * time.Second) {
		a.process.kill()
	}
}

// ask runs what stands behind "app>" as an HTTP request: "POST /broadcast {json}", or "GET /path => body".
func (a *app) ask(text string) error {
	text, want, compare := strings.Cut(text, " => ")
	method, rest, _ := strings.Cut(text, " ")
	path, body, _ := strings.Cut(rest, " ")
	got, err := a.request(method, path, body)
	if err == nil && compare && got != want {
		err = fmt.Errorf("got %s", got)
	}
	return err
}

func (a *app) request(method, path, body string) (string, error) {
	request, err := http.NewRequest(method, a.url()+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("ask the application: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("the application answered %s", response.Status)
	}
	return strings.TrimSpace(string(answer)), err
}

// events are the callbacks of a user's connections and channels that have run so far, in order: all, or only the four
// that most applications write.
func (a *app) events(user string, all bool) ([]string, error) {
	text, err := a.request("GET", "/events", "")
	if err != nil {
		return nil, err
	}
	var log []struct{ Event, Channel, Identifier, User string }
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
	}
	var events []string
	for _, entry := range log {
		if entry.User != user || !all && (strings.HasPrefix(entry.Event, "before_") || strings.HasPrefix(entry.Event, "after_")) {
			continue
		}
		events = append(events, strings.TrimSpace(entry.Event+" "+entry.Identifier))
	}
	return events, nil
}

// awaitEvents waits until exactly these callbacks have run.
func (a *app) awaitEvents(user string, all bool, want []string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		got, err := a.events(user, all)
		if err != nil || slices.Equal(got, want) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("got %s", strings.Join(got, "\n    "))
		}
		time.Sleep(100 * time.Millisecond)
	}
}
