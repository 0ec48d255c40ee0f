package stage

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RailsVersion is the Rails that the tests run against: the checkout RAILS_SOURCE, or RAILS=6.1 (the default) or 7.2.
func RailsVersion() string {
	if source := os.Getenv("RAILS_SOURCE"); source != "" {
		return versionOf(source)
	}
	if version := os.Getenv("RAILS"); version != "" {
		return version
	}
	return "6.1"
}

// versionOf reads the version of a checkout of Rails, as "8.1".
func versionOf(source string) string {
	text, err := os.ReadFile(source + "/RAILS_VERSION")
	if err != nil {
		panic(fmt.Sprintf("RAILS_SOURCE must be the absolute path of a checkout of Rails: %v", err))
	}
	major, rest, _ := strings.Cut(string(text), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return major + "." + minor
}

// An App is one of the Rails applications in testdata under Puma. It keeps its address when it is restarted.
type App struct {
	Address string
	folder  string
	Env     []string
	Binds   []string // of Puma, besides the address
	Process *Process
}

// StartApp starts testdata/folder. With the gem it is the backend of a catenary, without it native Action Cable. It waits its
// turn to boot; a restart does not, for its test has begun.
func StartApp(folder string, withGem bool, env ...string) (*App, error) {
	a := NewApp(folder, withGem, env...)
	return a, a.Boot()
}

// NewApp is an application that has not been started.
func NewApp(folder string, withGem bool, env ...string) *App {
	env = append([]string{"RAILS=" + RailsVersion(), "SECRET_KEY_BASE=" + SecretKeyBase, "LAB_LOG_LEVEL=info"}, env...)
	if withGem {
		env = append(env, "RUBYLIB="+ProjectRoot+"/rpc/rails/lib")
	}
	return &App{Address: FreeAddress(), folder: folder, Env: env}
}

// Boot is Up in turn with the other tests.
func (a *App) Boot() error {
	defer BootTurn()()
	return a.Up()
}

// BootTurn waits until few enough applications boot. The caller, who boots one, gives the turn back.
func BootTurn() (giveBack func()) { return takeTurn("boot", bootsAtOnce) }

// SecretKeyBase is the one of the application, and so what catenary signs its calls with.
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

// URL is where the app answers.
func (a *App) URL() string { return "http://" + a.Address }

// Restart stops Puma as an operator does and starts it again.
func (a *App) Restart(t *testing.T) {
	t.Helper()
	a.Process.Stop(t)
	if err := a.Up(); err != nil {
		t.Fatal(err)
	}
}

// Close ends Puma: at first it is asked to, and then killed.
func (a *App) Close() {
	a.Process.Signal(syscall.SIGTERM)
	if !a.Process.endsWithin(3 * time.Second) {
		a.Process.Kill()
	}
}

// Ask runs what stands behind "app>" as an HTTP request: "POST /broadcast {json}", or "GET /path => body".
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

// Request makes an HTTP request of the app and returns the body of the answer. A status of 300 or more is an error.
func (a *App) Request(method, path, body string) (string, error) {
	request, err := http.NewRequest(method, a.URL()+path, strings.NewReader(body))
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

// Which callbacks are looked at.
type Callbacks string

const (
	AllCallbacks  Callbacks = "callbacks" // before and after others too
	Events        Callbacks = "events"    // the four that most applications write
	ChannelEvents Callbacks = "channels"  // of these, those of channels: where tokens identify, connect and disconnect do not run
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

// Events are the callbacks of a user's connections and channels that have run so far, in order.
func (a *App) Events(user string, which Callbacks) ([]string, error) {
	text, err := a.Request("GET", "/events", "")
	if err != nil {
		return nil, err
	}
	var log []struct{ Event, Channel, Identifier, User string }
	if err := json.Unmarshal([]byte(text), &log); err != nil {
		return nil, fmt.Errorf("read the event log: %w", err)
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
