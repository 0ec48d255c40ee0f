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
	"sync"
	"syscall"
	"testing"

	"github.com/golang-jwt/jwt/v5"
)

// A World is all that a transcript needs: Redis, the lab application, and a server that speaks Action
// Cable. The server is one of:
//
//	rails       the application itself
//	catenary    catenary in front of it
//	rebuilt     catenary, and the application keeps no objects between commands
//	post        catenary, and calls are POST requests, not frames of a link
//	reconnect   catenary, and browsers reconnect when Rails restarts
//	identified  catenary, and tokens replace connect
//	verified    catenary, which verifies Turbo's stream names
type World struct {
	Redis    *Redis
	App      *App
	Catenary *Catenary
	Address  string   // of the server
	root     string   // catenary's root folder, "" if it has none
	flags    []string // of catenary

	turn        sync.Mutex // of the transcripts that disturb it
	disturbedBy string     // the last of them, "" when it is as before
}

// Worlds maps the kinds of world that transcripts name in "world:" to the application's
// environment. All transcripts of a kind share one world, since booting Rails takes most of a test's
// time; so settings that have nothing to do with each other are those of one kind. Each "own"
// transcript starts a new world.
var Worlds = map[string][]string{
	"":                              {`LAB_ALLOWED_ORIGINS=http://allowed.example /http:\/\/re\d+\.example/`},
	"listed origins, prefix":        {"LAB_SAME_ORIGIN=false", "LAB_ALLOWED_ORIGINS=http://allowed.example", "LAB_CHANNEL_PREFIX=myapp_production"},
	"no origin check, empty prefix": {"LAB_DISABLE_FORGERY_PROTECTION=true", "LAB_CHANNEL_PREFIX="},
	"in order":                      {"LAB_WORKERS=1"}, // with more threads Rails may confirm or end a subscription twice
	"disturbed":                     {},                // by one transcript at a time
	"own":                           {},
}

// StartWorld starts a server and what it needs. kind is one of Worlds, and env is added to the
// environment of the application.
func StartWorld(server, kind string, env ...string) (w *World, err error) {
	usual, known := Worlds[kind]
	if !known {
		return nil, fmt.Errorf("unknown world %q", kind)
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
	if server == "identified" {
		env = append(env, "LAB_IDENTIFY=user")
		if w.root, err = writeConfig(JWTSettings("    identify:\n      user: gid://app/User/{sub}\n")); err != nil {
			return w, err
		}
		w.flags = []string{"--root", w.root, "--broadcasts-redis-url", w.Redis.URL()}
	}
	if server == "post" {
		w.flags = []string{"--backend-transport", "post"}
	}
	if server == "reconnect" {
		w.flags = []string{"--backend-restart", "reconnect"}
	}
	if server == "verified" {
		env = append(env, "LAB_TURBO=original")
		w.flags = []string{"--turbo-verify-streams"}
	}
	if w.App, err = StartApp("lab", server != "rails", env...); err != nil {
		return w, err
	}
	w.Address = w.App.Address
	if server != "rails" {
		if w.Catenary, err = StartCatenary(w.App, w.flags...); err != nil {
			return w, err
		}
		w.Address = w.Catenary.Address
		return w, nil
	}
	return w, w.App.WarmUpCable()
}

// WarmUpCable connects to Rails' own Action Cable before any test does: two concurrent first
// connections can make Rails ping every connection twice. It closes after the welcome because Rails
// never notices that a connection is gone if that happens before connect has run.
func (a *App) WarmUpCable() error {
	first, err := Dial(a.Address, Handshake("GET", "/cable", a.Address, nil))
	if err != nil {
		return err
	}
	defer first.Close()
	if _, ok := NextFrame(first); !ok {
		return errors.New("no welcome from Rails' own Action Cable")
	}
	return nil
}

// NewWorld starts a world that this parallel test may disturb.
func NewWorld(t *testing.T, server string) *World {
	t.Parallel()
	w, err := StartWorld(server, "own")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

// SharedWorlds are worlds that the tests of a folder share. Each is started when it is first needed,
// and closed after the last test.
type SharedWorlds[K comparable] struct {
	Start func(K) (*World, error)

	mu      sync.Mutex
	started map[K]func() (*World, error)
}

// Find returns the world of a key.
func (s *SharedWorlds[K]) Find(t *testing.T, key K) *World {
	t.Helper()
	s.mu.Lock()
	if s.started == nil {
		s.started = map[K]func() (*World, error){}
	}
	if s.started[key] == nil {
		s.started[key] = sync.OnceValues(func() (*World, error) {
			w, err := s.Start(key)
			if err == nil {
				shared.Lock()
				defer shared.Unlock()
				shared.worlds = append(shared.worlds, w)
			}
			return w, err
		})
	}
	get := s.started[key]
	s.mu.Unlock()
	w, err := get()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// shared are all of SharedWorlds that have been started.
var shared struct {
	sync.Mutex
	worlds []*World
}

func closeSharedWorlds() {
	var closing sync.WaitGroup
	for _, w := range shared.worlds {
		closing.Go(w.Close)
	}
	closing.Wait()
}

// FindFor returns the world of a key for a test that plays this transcript.
func (s *SharedWorlds[K]) FindFor(t *testing.T, key K, tr Transcript) *World {
	t.Helper()
	if tr.World == "own" {
		w, err := s.Start(key)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(w.Close)
		return w
	}
	w := s.Find(t, key)
	if tr.World == "disturbed" {
		w.takeTurn(t, tr.Name)
	}
	return w
}

// takeTurn waits until no other transcript disturbs this world. Each leaves it as it was, unless it
// fails.
func (w *World) takeTurn(t *testing.T, transcript string) {
	t.Helper()
	w.turn.Lock()
	t.Cleanup(w.turn.Unlock)
	if w.disturbedBy != "" {
		t.Fatalf("%s has failed and left this world disturbed", w.disturbedBy)
	}
	w.disturbedBy = transcript
	t.Cleanup(func() {
		if !t.Failed() {
			w.disturbedBy = ""
		}
	})
}

// Close stops everything.
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

// writeConfig writes config/catenary.yml in a new root folder. The caller removes it.
func writeConfig(settings string) (root string, err error) {
	if root, err = os.MkdirTemp(buildFolder, "root"); err == nil {
		err = os.Mkdir(filepath.Join(root, "config"), 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(root, "config", "catenary.yml"), []byte("shared:\n"+settings), 0o600)
	}
	return root, err
}

// Handshake returns a browser's handshake request. Where tokens identify, it has a token for the
// uid of the path.
func (w *World) Handshake(method, path string, changes []string) string {
	if w.root != "" {
		if u, err := url.Parse(path); err == nil {
			changes = append(slices.Clone(changes), "Authorization: Bearer "+SignToken(jwt.MapClaims{"sub": cmp.Or(u.Query().Get("uid"), "1")}))
		}
	}
	return Handshake(method, path, w.Address, changes)
}

// ask runs an "app>" step: an HTTP request to the application, or a comparison of the callbacks.
func (w *World) ask(s Step) error {
	what, user, ok := strings.Cut(s.Text, " of user ")
	if !ok {
		return w.App.Ask(s.Text)
	}
	return w.App.AwaitEvents(user, Callbacks(what), s.More)
}

// operate runs an "operator>" step: (stop) sends SIGTERM to the server, (start) starts it again, and
// (unready) waits until catenary reports that it is not ready.
func (w *World) operate(text string) error {
	switch verb, _ := Action(text); verb {
	case "stop":
		server := w.server()
		server.Signal(syscall.SIGTERM)
		if w.Catenary == nil { // Puma 6.6 may hang on SIGTERM; an init system would kill it
			go func() {
				if !server.exitsWithin(Patience / 4) {
					server.Kill()
				}
			}()
		}
		return nil
	case "start":
		return w.restartServer()
	case "unready":
		if !Await(func() bool { return w.Catenary.Ready() != nil }) {
			return errors.New("catenary stays ready")
		}
		return nil
	}
	return fmt.Errorf("unknown operator step %q", text)
}

// server returns the process that browsers talk to.
func (w *World) server() *Process {
	if w.Catenary != nil {
		return w.Catenary.Process
	}
	return w.App.Process
}

// Servers returns the servers to test: all, or the one that SERVER names.
func Servers() []string {
	if server := os.Getenv("SERVER"); server != "" {
		return []string{server}
	}
	return []string{"rails", "catenary", "rebuilt", "post", "identified", "verified"}
}

// RestartServer kills the server and starts it again at the same address.
func (w *World) RestartServer(t *testing.T) {
	if err := w.restartServer(); err != nil {
		t.Error(err)
	}
}

func (w *World) restartServer() error {
	if w.Catenary != nil {
		w.Catenary.Process.Kill()
		return w.Catenary.Up(w.App, w.flags...)
	}
	w.App.Process.Kill()
	return w.App.Boot()
}
