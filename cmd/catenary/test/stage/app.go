package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RailsVersion returns the version of Rails under test: that of the checkout RAILS_SOURCE, or
// RAILS, 6.1 by default.
func RailsVersion() string {
	if source := os.Getenv("RAILS_SOURCE"); source != "" {
		return versionOf(source)
	}
	if version := os.Getenv("RAILS"); version != "" {
		return version
	}
	return "6.1"
}

// versionOf reads the version of a Rails checkout, such as "8.1".
func versionOf(source string) string {
	text, err := os.ReadFile(source + "/RAILS_VERSION")
	if err != nil {
		panic(fmt.Sprintf("RAILS_SOURCE must be the absolute path of a checkout of Rails: %v", err))
	}
	major, rest, _ := strings.Cut(string(text), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}

// An App is a Rails application from testdata under Puma. It keeps its address over a restart.
type App struct {
	Address string
	folder  string
	Env     []string
	Binds   []string // more addresses for Puma to listen on
	Process *Process
}

// StartApp starts testdata/folder: with the gem as a backend for catenary, without it as native
// Action Cable. It waits for its turn to boot; Up does not.
func StartApp(folder string, withGem bool, env ...string) (*App, error) {
	a := NewApp(folder, withGem, env...)
	return a, a.Boot()
}

// NewApp returns an application that has not been started.
func NewApp(folder string, withGem bool, env ...string) *App {
	return &App{Address: FreeAddress(), folder: folder, Env: RailsEnv(withGem, env...)}
}

// RailsEnv returns the environment of an application under test, with or without the gem.
func RailsEnv(withGem bool, env ...string) []string {
	all := append(QuickBoot(), "RAILS="+RailsVersion(), "SECRET_KEY_BASE="+SecretKeyBase, "LAB_LOG_LEVEL=info")
	if withGem {
		all = append(all, "RUBYLIB="+ProjectRoot+"/rpc/rails/lib")
	}
	return append(all, env...)
}

// QuickBoot returns the environment with which Ruby keeps the bytecode of its files between boots, and
// begins with a heap so large that a boot collects garbage a few times, not thirty to eighty. Ruby 3.3
// has a heap for each size of objects. A test that measures gets Ruby's own heap.
func QuickBoot() []string {
	env := []string{"RUBYOPT=-r" + ProjectRoot + "/testdata/compile_cache", "COMPILE_CACHE=" + sharedFolder() + "/bytecode"}
	if !Race {
		return env
	}
	return append(env, "RUBY_GC_HEAP_INIT_SLOTS=500000",
		"RUBY_GC_HEAP_0_INIT_SLOTS=300000", "RUBY_GC_HEAP_1_INIT_SLOTS=150000", "RUBY_GC_HEAP_2_INIT_SLOTS=60000", "RUBY_GC_HEAP_3_INIT_SLOTS=20000")
}

// Boot waits for a turn to boot and calls Up.
func (a *App) Boot() error {
	release := BootTurn()
	defer release()
	return a.Up()
}

// BootTurn waits until fewer than bootsAtOnce applications are booting. The caller boots one and
// then calls release.
func BootTurn() (release func()) { return takeTurn("boot", bootsAtOnce) }

// SecretKeyBase is the application's secret, with which catenary signs its calls.
var SecretKeyBase = strings.Repeat("0123456789abcdef", 8)

// Up starts Puma at the address of the app and waits until it answers.
func (a *App) Up() (err error) {
	arguments := []string{"testdata/" + a.folder, "--bind", "tcp://" + a.Address}
	for _, bind := range a.Binds {
		arguments = append(arguments, "--bind", bind)
	}
	a.Process, err = Start(ProjectRoot, a.Env, ProjectRoot+"/script/puma", arguments...)
	if err != nil {
		return err
	}
	return a.Process.WaitFor(func() error {
		response, err := http.Get(a.URL() + "/up")
		if err == nil {
			response.Body.Close()
		}
		return err
	})
}

// Getenv returns a variable of the app's environment, "" if it is not set.
func (a *App) Getenv(name string) string {
	for _, variable := range a.Env {
		if value, found := strings.CutPrefix(variable, name+"="); found {
			return value
		}
	}
	return ""
}

// URL returns the base URL of the app.
func (a *App) URL() string { return "http://" + a.Address }

// Restart stops Puma with SIGTERM and starts it again.
func (a *App) Restart(t *testing.T) {
	t.Helper()
	a.Process.Stop(t)
	if err := a.Up(); err != nil {
		t.Fatal(err)
	}
}

// Close stops Puma with SIGTERM, and kills it after 3 seconds.
func (a *App) Close() {
	a.Process.Signal(syscall.SIGTERM)
	if !a.Process.exitsWithin(3 * time.Second) {
		a.Process.Kill()
	}
}

// Ask runs an "app>" step that is an HTTP request: "POST /broadcast {json}", or "GET /path =>
// body".
func (a *App) Ask(text string) error {
	text, want, compare := strings.Cut(text, " => ")
	method, rest, _ := strings.Cut(text, " ")
	path, body, _ := strings.Cut(rest, " ")
	got, err := a.Request(method, path, body)
	if err == nil && compare && got != want {
		err = fmt.Errorf("got %s", got)
	}
	return err
}

// Request makes an HTTP request to the app and returns the body. A status of 300 or more is an
// error.
func (a *App) Request(method, path, body string) (string, error) {
	request, err := http.NewRequest(method, a.URL()+path, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("request to the app: %w", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= 300 {
		err = fmt.Errorf("the app answered %s", response.Status)
	}
	return strings.TrimSpace(string(answer)), err
}

// Callbacks selects which of the callbacks that have run are compared.
type Callbacks string

const (
	AllCallbacks  Callbacks = "callbacks" // all of them, before_ and after_ too
	Events        Callbacks = "events"    // connect, disconnect, subscribed and unsubscribed
	ChannelEvents Callbacks = "channels"  // subscribed and unsubscribed, for worlds without connect
)

func (c Callbacks) include(event string) bool {
	switch {
	case strings.HasPrefix(event, "before_"), strings.HasPrefix(event, "after_"):
		return c == AllCallbacks
	case event == "connect", event == "disconnect":
		return c != ChannelEvents
	}
	return true
}

// Events returns the callbacks that have run so far for a user, in order.
func (a *App) Events(user string, which Callbacks) ([]string, error) {
	text, err := a.Request("GET", "/events?"+url.Values{"user": {user}}.Encode(), "")
	if err != nil {
		return nil, err
	}
	var log []struct{ Event, Channel, Identifier, User string }
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		return nil, fmt.Errorf("read the event log %s: %w", text, err)
	}
	var events []string
	for _, entry := range log {
		if entry.User == user && which.include(entry.Event) {
			events = append(events, strings.TrimSpace(entry.Event+" "+entry.Identifier))
		}
	}
	return events, nil
}

// AwaitEvents waits until exactly these callbacks have run.
func (a *App) AwaitEvents(user string, which Callbacks, want []string) error {
	var got []string
	var err error
	if !Await(func() bool {
		got, err = a.Events(user, which)
		return err != nil || slices.Equal(got, want)
	}) {
		err = fmt.Errorf("got %s", strings.Join(got, "\n    "))
	}
	return err
}
