package main

import (
	"crypto/rand"
	"crypto/rsa"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const tokenSecret = "the secret of devise-jwt, long enough"

// deviseToken makes a token as devise-jwt does, with ruby-jwt. changes is Ruby.
func deviseToken(t *testing.T, changes string) string {
	t.Helper()
	script := `require "jwt"; now = Time.now.to_i
		claims = { "jti" => "j-1", "sub" => "7", "scp" => "user", "aud" => nil, "iat" => now, "exp" => now + 3600 }.merge(eval(ARGV[1]))
		print JWT.encode(claims, ARGV[0], "HS256")`
	out, err := exec.Command("ruby", "-e", script, tokenSecret, "now = Time.now.to_i; {"+changes+"}").Output()
	if err != nil {
		t.Fatalf("ruby-jwt is needed, run script/install rails: %v", err)
	}
	return string(out)
}

// An edge is an app with one catenary or more that check tokens.
type edge struct {
	*testing.T
	redis *redisServer
	app   *app
	nodes []*catenary
	root  string
}

// startEdge writes config/catenary.yml below a root of catenary's own.
func startEdge(t *testing.T, nodes int, settings string, flags ...string) *edge {
	t.Helper()
	return startEdgeOn(t, nodes, []string{"LAB_DISABLE_FORGERY_PROTECTION=true"}, settings, flags...)
}

// startEdgeOn does so with an app of this environment.
func startEdgeOn(t *testing.T, nodes int, env []string, settings string, flags ...string) *edge {
	t.Helper()
	e := &edge{T: t}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	e.root, err = configure(settings)
	must(err)
	t.Cleanup(func() { os.RemoveAll(e.root) })
	e.redis, err = startRedis()
	must(err)
	t.Cleanup(e.redis.close)
	must(os.WriteFile(filepath.Join(e.root, "config", "cable.yml"), []byte("development:\n  adapter: redis\n  url: "+e.redis.url()+"\n"), 0o600))
	e.app, err = startApp("lab", true, append(env, "REDIS_URL="+e.redis.url())...)
	must(err)
	t.Cleanup(e.app.close)
	for range nodes {
		e.start(e.app, flags...)
	}
	return e
}

// start starts one node more.
func (e *edge) start(before *app, flags ...string) {
	e.Helper()
	c, err := startCatenary(before, append([]string{"--root", e.root}, flags...)...)
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(c.process.kill)
	e.nodes = append(e.nodes, c)
}

func (e *edge) connect(node int, path string, changes ...string) *browser {
	e.Helper()
	b, err := dial(e.nodes[node].address, handshake("GET", path, e.nodes[node].address, changes))
	if err != nil {
		e.Fatal(err)
	}
	e.Cleanup(b.close)
	return b
}

// hears waits for frames, pings left out.
func (e *edge) hears(b *browser, frames ...string) {
	e.Helper()
	for _, want := range frames {
		got, ok := nextFrame(b, patience)
		if !ok || got.String() != want {
			e.Fatalf("got %s (%t, %s), want %s", got, ok, b.response.Status, want)
		}
	}
}

func (e *edge) connects() (queries []string) {
	e.Helper()
	log, err := e.app.request("GET", "/events", "")
	if err != nil {
		e.Fatal(err)
	}
	for part := range strings.SplitSeq(log, "{") {
		if strings.Contains(part, `"event":"connect"`) {
			queries = append(queries, part)
		}
	}
	return queries
}

const (
	unauthorized = `{"type":"disconnect","reason":"unauthorized","reconnect":false}`
	welcome      = `{"type":"welcome"}`
)

func jwtSettings(more string) string {
	return "  jwt:\n    secret: \"" + tokenSecret + "\"\n" + more
}

func TestEdge_TokensOfDeviseDecideBeforeRails(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 1, jwtSettings("    scope: user\n    subprotocol: raw\n    cookie: jwt\n    id_required: true\n"))
	good := deviseToken(t, "")

	key, _ := rsa.GenerateKey(rand.Reader, 2048)
	rs, _ := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"sub": "7", "exp": time.Now().Unix() + 60}).SignedString(key)
	none, _ := jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"sub": "7", "exp": time.Now().Unix() + 60}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	for name, token := range map[string]string{
		"none": "", "forged": good[:len(good)-4] + "AAAA", "expired": deviseToken(t, `"exp" => now - 1`), "another scope": deviseToken(t, `"scp" => "admin"`),
		"no jti": deviseToken(t, `"jti" => nil`), "alg none": none, "another algorithm": rs, "10 kB": deviseToken(t, `"x" => "x" * 10_000`),
	} {
		t.Log(name)
		b := e.connect(0, "/cable?token="+token)
		e.hears(b, unauthorized, "(close 1000)")
	}
	if asked := e.connects(); len(asked) != 0 {
		t.Fatalf("Rails has run connect: %s", asked)
	}
	e.hears(e.connect(0, "/cable?uid=7&token="+good), welcome)
	e.hears(e.connect(0, "/cable", "Authorization: Bearer "+good), welcome)
	e.hears(e.connect(0, "/cable", "Cookie: jwt="+good), welcome)
	b := e.connect(0, "/cable", "Sec-WebSocket-Protocol: actioncable-v1-json, actioncable-unsupported, "+good)
	e.hears(b, welcome)
	if chosen := b.response.Header.Get("Sec-WebSocket-Protocol"); chosen != "actioncable-v1-json" {
		t.Errorf("chose %q", chosen)
	}
	if asked := e.connects(); len(asked) != 4 || !strings.Contains(asked[0], "token="+good) {
		t.Errorf("Rails' connect has not run 4 times, the first with the token: %s", asked)
	}
}

func TestEdge_ATokenExpiresAndItsBrowserComesBackWithAnother(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 1, jwtSettings(""))
	old := deviseToken(t, `"exp" => now + 3`)
	b := e.connect(0, "/cable?token="+old)
	e.hears(b, welcome, `{"type":"disconnect","reason":"token_expired","reconnect":true}`, "(close 1000)")
	e.hears(e.connect(0, "/cable?token="+old), unauthorized, "(close 1000)")
	e.hears(e.connect(0, "/cable?token="+deviseToken(t, "")), welcome)
}

func TestEdge_SomebodyIsDisconnectedOnAllNodes(t *testing.T) {
	t.Parallel()
	e := startEdge(t, 2, jwtSettings(""))
	laptop, phone := deviseToken(t, `"jti" => "laptop"`), deviseToken(t, `"jti" => "phone"`)
	other := e.connect(1, "/cable?uid=8&token="+deviseToken(t, `"sub" => "8"`))
	e.hears(other, welcome)
	both := func() (a, b *browser) {
		a, b = e.connect(0, "/cable?uid=7&token="+laptop), e.connect(1, "/cable?uid=7&token="+phone)
		e.hears(a, welcome)
		e.hears(b, welcome)
		return a, b
	}
	gone, goneForGood := `{"type":"disconnect","reason":"remote","reconnect":true}`, `{"type":"disconnect","reason":"remote","reconnect":false}`

	a, b := both()
	e.run("--sub", "7")
	e.hears(a, gone, "(close 1000)")
	e.hears(b, gone, "(close 1000)")

	a, b = both()
	e.run("--jti", "phone", "--reconnect=false")
	e.hears(b, goneForGood, "(close 1000)")
	e.run("--identifier", "gid://app/User/7")
	e.hears(a, gone, "(close 1000)")

	a, b = both()
	out, err := exec.Command("curl", "-sS", "--fail", "-H", "Content-Type: application/json", "-d", `{"sub":"7","reconnect":false}`, "http://"+e.nodes[0].operations+"/disconnect").CombinedOutput()
	if err != nil {
		t.Fatalf("POST /disconnect: %v %s", err, out)
	}
	e.hears(a, goneForGood, "(close 1000)")
	e.hears(b, goneForGood, "(close 1000)")

	c := e.connect(0, "/cable?uid=7&token="+laptop)
	e.hears(c, welcome)
	if err := e.redis.do(`PUBLISH _catenary/disconnect {"dismissal":"{\"sub\":\"7\"}","signature":"00"}`); err != nil {
		t.Fatal(err)
	}
	if err := e.nodes[0].process.waitFor(patience, func() error { return says(e.nodes[0].process, "signature is wrong") }); err != nil {
		t.Fatal(err)
	}
	for _, left := range []*browser{c, other} {
		if f, ok := nextFrame(left, silence); ok {
			t.Errorf("a browser that nobody named heard %s", f)
		}
	}
}

// run is catenary disconnect, as on the same machine.
func (e *edge) run(arguments ...string) {
	e.Helper()
	path, err := built()
	if err != nil {
		e.Fatal(err)
	}
	arguments = append([]string{"disconnect", "--root", e.root}, arguments...)
	command := exec.Command(path, arguments...)
	command.Env = append(os.Environ(), "SECRET_KEY_BASE="+secretKeyBase)
	if out, err := command.CombinedOutput(); err != nil {
		e.Fatalf("catenary %s: %v\n%s", strings.Join(arguments, " "), err, out)
	}
}
