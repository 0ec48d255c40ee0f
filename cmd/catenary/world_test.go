package main

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A world is all that a transcript needs: Redis, the fixture application, and a server that speaks Action Cable, which
// is the application itself ("rails") or catenary in front of it ("catenary", or "rebuilt" if the application keeps no objects
// between commands, "identified" if tokens take the place of connect, or "verified" if Turbo's streams are verified by catenary).
type world struct {
	redis    *redisServer
	app      *app
	catenary *catenary
	address  string // of the server
	root     string // of catenary's configuration; "" if it has none
}

// worlds are the kinds of applications that transcripts ask for with "world:", and their environment. Of each there is
// one for all transcripts; only "own" is started anew for each transcript, which may disturb it.
var worlds = map[string][]string{
	"":                {`LAB_ALLOWED_ORIGINS=http://allowed.example /http:\/\/re\d+\.example/`},
	"listed origins":  {"LAB_SAME_ORIGIN=false", "LAB_ALLOWED_ORIGINS=http://allowed.example"},
	"no origin check": {"LAB_DISABLE_FORGERY_PROTECTION=true"},
	"prefix":          {"LAB_CHANNEL_PREFIX=myapp_production"},
	"empty prefix":    {"LAB_CHANNEL_PREFIX="},
	"own":             {},
}

func startWorld(server, kind string) (w *world, err error) {
	env, known := worlds[kind]
	if !known {
		return nil, fmt.Errorf("no world is called %q", kind)
	}
	w = &world{}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	if w.redis, err = startRedis(); err != nil {
		return w, err
	}
	env = append(slices.Clone(env), "REDIS_URL="+w.redis.url())
	if server == "rebuilt" {
		env = append(env, "LAB_LIVE_LIMIT=0")
	}
	var flags []string
	if server == "identified" {
		env = append(env, "LAB_IDENTIFY=user")
		if w.root, err = configure(jwtSettings("    identify:\n      user: gid://app/User/{sub}\n")); err != nil {
			return w, err
		}
		flags = []string{"--root", w.root, "--broadcasts-redis-url", w.redis.url()}
	}
	if server == "verified" {
		env = append(env, "LAB_TURBO=original")
		flags = []string{"--turbo-verify-streams"}
	}
	if w.app, err = startApp("lab", server != "rails", env...); err != nil {
		return w, err
	}
	w.address = w.app.address
	if server != "rails" {
		if w.catenary, err = startCatenary(w.app, flags...); err != nil {
			return w, err
		}
		w.address = w.catenary.address
		return w, nil
	}
	// Two first connections at once can make Rails ping everybody twice; so the first one comes alone.
	first, err := dial(w.address, handshake("GET", "/cable", w.address, nil))
	if err == nil {
		first.close()
	}
	return w, err
}

func (w *world) close() {
	if w.catenary != nil && w.catenary.process != nil {
		w.catenary.process.kill()
	}
	if w.app != nil {
		w.app.close()
	}
	if w.redis != nil {
		w.redis.close()
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

// handshake is the request of a browser; where tokens identify, it has one for the user that the path asks for.
func (w *world) handshake(method, path string, changes []string) string {
	if w.root != "" {
		if u, err := url.Parse(path); err == nil {
			changes = append(slices.Clone(changes), "Authorization: Bearer "+signToken(jwt.MapClaims{"sub": cmp.Or(u.Query().Get("uid"), "1")}))
		}
	}
	return handshake(method, path, w.address, changes)
}

// signToken makes a token that is good for an hour.
func signToken(claims jwt.MapClaims) string {
	if claims["exp"] == nil {
		claims["exp"] = time.Now().Unix() + 3600
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(tokenSecret))
	if err != nil {
		panic(err)
	}
	return token
}

// ask runs what stands behind "app>": an HTTP request to the application, or a look at the callbacks that have run.
func (w *world) ask(s step) error {
	what, user, ok := strings.Cut(s.text, " of user ")
	if !ok {
		return w.app.ask(s.text)
	}
	return w.app.awaitEvents(user, what == "callbacks", s.more)
}

// operate runs what stands behind "operator>": (stop) ends the server as an operating system does.
func (w *world) operate(text string) error {
	if verb, _ := action(text); verb != "stop" {
		return fmt.Errorf("an operator cannot %q", text)
	}
	w.server().signal(syscall.SIGTERM)
	return nil
}

// server is the process that browsers talk to.
func (w *world) server() *process {
	if w.catenary != nil {
		return w.catenary.process
	}
	return w.app.process
}

// restartServer kills the server and starts it again at the same address.
func (w *world) restartServer(t *testing.T) {
	err := error(nil)
	if w.catenary != nil {
		w.catenary.process.kill()
		err = w.catenary.up(w.app)
	} else {
		w.app.process.kill()
		err = w.app.up()
	}
	if err != nil {
		t.Error(err)
	}
}
