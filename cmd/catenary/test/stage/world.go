package stage

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// A World is all that a transcript needs: Redis, the fixture application, and a server that speaks Action Cable, which
// is the application itself ("rails") or catenary in front of it ("catenary", or "rebuilt" if the application keeps no objects
// between commands, "post" if calls go by POST in place of links, "reconnect" if browsers come back when Rails restarts,
// "identified" if tokens take the place of connect, or "verified" if Turbo's streams are verified by catenary).
type World struct {
	Redis    *Redis
	App      *App
	Catenary *Catenary
	Address  string // of the server
	root     string // of catenary's configuration; "" if it has none
}

// Worlds are the kinds of applications that transcripts ask for with "world:", and their environment. Of each there is
// one for all transcripts; only "own" is started anew for each transcript, which may disturb it.
var Worlds = map[string][]string{
	"":                {`LAB_ALLOWED_ORIGINS=http://allowed.example /http:\/\/re\d+\.example/`},
	"listed origins":  {"LAB_SAME_ORIGIN=false", "LAB_ALLOWED_ORIGINS=http://allowed.example"},
	"no origin check": {"LAB_DISABLE_FORGERY_PROTECTION=true"},
	"prefix":          {"LAB_CHANNEL_PREFIX=myapp_production"},
	"empty prefix":    {"LAB_CHANNEL_PREFIX="},
	"in order":        {"LAB_WORKERS=1"}, // with more threads Rails may confirm, or end, one subscription twice
	"own":             {},
}

// StartWorld starts a server and what it needs. kind is one of Worlds, and env more of the environment of its application.
func StartWorld(server, kind string, env ...string) (w *World, err error) {
	usual, known := Worlds[kind]
	if !known {
		return nil, fmt.Errorf("no world is called %q", kind)
	}
	w = &World{}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.Redis, err = StartRedis(); err != nil {
		return w, err
	}
	env = slices.Concat(usual, env, []string{"REDIS_URL=" + w.Redis.URL()})
	if server == "rebuilt" {
		env = append(env, "LAB_LIVE_LIMIT=0")
	}
	var flags []string
	if server == "identified" {
		env = append(env, "LAB_IDENTIFY=user")
		if w.root, err = configure(JWTSettings("    identify:\n      user: gid://app/User/{sub}\n")); err != nil {
			return w, err
		}
		flags = []string{"--root", w.root, "--broadcasts-redis-url", w.Redis.URL()}
	}
	if server == "post" {
		flags = []string{"--backend-transport", "post"}
	}
	if server == "reconnect" {
		flags = []string{"--backend-restart", "reconnect"}
	}
	if server == "verified" {
		env = append(env, "LAB_TURBO=original")
		flags = []string{"--turbo-verify-streams"}
	}
	if w.App, err = StartApp("lab", server != "rails", env...); err != nil {
		return w, err
	}
	w.Address = w.App.Address
	if server != "rails" {
		if w.Catenary, err = StartCatenary(w.App, flags...); err != nil {
			return w, err
		}
		w.Address = w.Catenary.Address
		return w, nil
	}
	return w, w.App.ComeAlone()
}

// ComeAlone visits Rails' own Action Cable before anybody else: two first connections at once can make Rails ping
// everybody twice. The visitor leaves once it is welcomed: of one that is gone before its connect has run, Rails never
// notices the end.
func (a *App) ComeAlone() error {
	first, err := Dial(a.Address, Handshake("GET", "/cable", a.Address, nil))
	if err != nil {
		return err
	}
	defer first.Close()
	if _, said := NextFrame(first); !said {
		return errors.New("Rails' own Action Cable did not welcome its first visitor")
	}
	return nil
}

// NewWorld starts a world that this test, which runs beside others, may disturb.
func NewWorld(t *testing.T, server string) *World {
	t.Parallel()
	w, err := StartWorld(server, "own")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// Close ends all of it.
func (w *World) Close() {
	if w.Catenary != nil && w.Catenary.Process != nil {
		w.Catenary.Process.Kill()
	}
	if w.App != nil {
		w.App.Close()
	}
	if w.Redis != nil {
		w.Redis.Close()
	}
	if w.root != "" {
		os.RemoveAll(w.root)
	}
}

// configure makes a root with config/catenary.yml, which the caller removes.
func configure(settings string) (root string, err error) {
	if root, err = os.MkdirTemp(buildFolder, "root"); err == nil {
		err = os.Mkdir(filepath.Join(root, "config"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "config", "catenary.yml"), []byte("shared:\n"+settings), 0o600)
	}
	return root, err
}

// Handshake is the request of a browser; where tokens identify, it has one for the user that the path asks for.
func (w *World) Handshake(method, path string, changes []string) string {
	if w.root != "" {
		if u, err := url.Parse(path); err == nil {
			changes = append(slices.Clone(changes), "Authorization: Bearer "+SignToken(jwt.MapClaims{"sub": cmp.Or(u.Query().Get("uid"), "1")}))
		}
	}
	return Handshake(method, path, w.Address, changes)
}

// ask runs what stands behind "app>": an HTTP request to the application, or a look at the callbacks that have run.
func (w *World) ask(s Step) error {
	what, user, ok := strings.Cut(s.Text, " of user ")
	if !ok {
		return w.App.Ask(s.Text)
	}
	return w.App.AwaitEvents(user, Callbacks(what), s.More)
}

// operate runs what stands behind "operator>": (stop) ends the server as an operating system does, and (unready) waits until
// catenary tells load balancers that it is not ready.
func (w *World) operate(text string) error {
	switch verb, _ := Action(text); verb {
	case "stop":
		w.server().Signal(syscall.SIGTERM)
		if w.Catenary == nil { // Puma 6.6 may hang when it is stopped, and an operating system does not wait for ever
			go func() {
				if !w.App.Process.endsWithin(Patience / 4) {
					w.App.Process.Kill()
				}
			}()
		}
		return nil
	case "unready":
		if !Await(func() bool { return w.Catenary.Ready() != nil }) {
			return errors.New("it stays ready")
		}
		return nil
	}
	return fmt.Errorf("an operator cannot %q", text)
}

// server is the process that browsers talk to.
func (w *World) server() *Process {
	if w.Catenary != nil {
		return w.Catenary.Process
	}
	return w.App.Process
}

// Servers are those that conformance is tested with: all, or the one that SERVER names.
func Servers() []string {
	if server := os.Getenv("SERVER"); server != "" {
		return []string{server}
	}
	return []string{"rails", "catenary", "rebuilt", "post", "identified", "verified"}
}

// RestartServer kills the server and starts it again at the same address.
func (w *World) RestartServer(t *testing.T) {
	err := error(nil)
	if w.Catenary != nil {
		w.Catenary.Process.Kill()
		err = w.Catenary.Up(w.App)
	} else {
		w.App.Process.Kill()
		err = w.App.Up()
	}
	if err != nil {
		t.Error(err)
	}
}
