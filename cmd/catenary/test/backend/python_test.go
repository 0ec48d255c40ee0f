package backend

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

const room = `{"channel":"RoomChannel","room":"7"}`

// startPython starts docs/backend.py at an address.
func startPython(t *testing.T, redis *stage.Redis, address string) *stage.App {
	t.Helper()
	app := &stage.App{Address: address}
	_, port, _ := strings.Cut(app.Address, ":")
	var err error
	app.Process, err = stage.Start(stage.ProjectRoot, []string{"CATENARY_SECRET=" + stage.SecretKeyBase, "REDIS_URL=" + redis.URL()}, "python3", "docs/backend.py", port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.Process.Kill)
	if err := app.Process.WaitFor(func() error { _, err := http.Get(app.URL()); return err }); err != nil {
		t.Fatal(err)
	}
	return app
}

// start starts Redis, docs/backend.py and a catenary.
func start(t *testing.T, flags ...string) *stage.Edge {
	t.Helper()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app := startPython(t, redis, stage.FreeAddress())
	node, err := stage.StartCatenary(app, flags...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(node.Process.Kill)
	return &stage.Edge{T: t, Redis: redis, App: app, Nodes: []*stage.Catenary{node}}
}

func TestBackend_InPythonServesBrowsers(t *testing.T) {
	t.Parallel()
	e := start(t)
	b := e.Connect(0, "/cable?user=ada")
	e.Expect(b, stage.Welcome)
	e.Subscribe(b, room)
	if err := e.Redis.Do(`PUBLISH room:7 {"text":"hello"} => 1`); err != nil {
		t.Fatal(err)
	}
	e.Expect(b, stage.MessageFor(room, `{"text":"hello"}`))

	echo := func(text string) { b.Send(stage.Command("message", room, `{"action":"echo","text":"`+text+`"}`)) }
	echo("é")
	e.Expect(b, stage.MessageFor(room, `{"user": "ada", "count": 1, "echo": "\u00e9"}`))
	e.App.Process.Kill()
	startPython(t, e.Redis, e.App.Address) // catenary has kept the user and the count
	echo("again")
	e.Expect(b, stage.MessageFor(room, `{"user": "ada", "count": 2, "echo": "again"}`))
}

func TestBackend_InPythonRejectsAndDisconnects(t *testing.T) {
	t.Parallel()
	e := start(t)
	b := e.Connect(0, "/cable?user=ada")
	e.Expect(b, stage.Welcome)
	for _, identifier := range []string{`{"channel":"OtherChannel"}`, `{"channel":"RoomChannel"}`, `no JSON`} {
		b.Send(stage.Command("subscribe", identifier, nil))
		e.Expect(b, stage.About(identifier, `"type":"reject_subscription"`))
	}
	e.Subscribe(b, room)
	b.Send(stage.Command("unsubscribe", room, nil))
	if err := e.Redis.Do("PUBSUB NUMSUB room:7 => 0"); err != nil {
		t.Fatal(err)
	}
	e.Expect(e.Connect(0, "/cable"), stage.Unauthorized, "(close 1000)")
	if stranger := e.Connect(0, "/cable?user=eve", "Origin: http://elsewhere.example"); stranger.Response.StatusCode != http.StatusNotFound {
		t.Errorf("a page of another origin was answered with %s", stranger.Response.Status)
	}
	b.Close()
	if err := e.App.Process.WaitFor(func() error { return stage.Wrote(e.App.Process, "ada has left") }); err != nil {
		t.Fatal(err)
	}
}

// The transport is not configured.
func TestBackend_AutoTransportFallsBackToPOST(t *testing.T) {
	t.Parallel()
	e := start(t)
	err := e.Nodes[0].Process.WaitFor(func() error { // what is logged arrives here a little later
		return stage.Mentions(e.Nodes[0].Process.Output.String(), []string{"sending calls to Rails by POST", "the backend answers POST /_catenary but no upgrade"})
	})
	if err != nil {
		t.Error(err)
	}
	metrics, err := stage.Get("http://" + e.Nodes[0].Operations + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Mentions(metrics, []string{"catenary_calls_by_post 1\n", "catenary_rails_processes 0\n", "catenary_calls_limit 8\n"}); err != nil {
		t.Error(err)
	}
	err = e.Nodes[0].Process.WaitFor(func() error { // the status is recorded once a second
		status, err := stage.Get("http://" + e.Nodes[0].Operations + "/status/now")
		if err != nil {
			return err
		}
		return stage.Mentions(status, []string{`"rails":{"transport":"post","processes":[]}`})
	})
	if err != nil {
		t.Error(err)
	}
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	doctor, err := stage.Start(os.TempDir(), stage.WithSecret, path, "doctor", "ws://"+e.Nodes[0].Address+"/cable?user=ada",
		"--backend-url", e.App.URL(), "--listen", e.Nodes[0].Address, "--operations-listen", e.Nodes[0].Operations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(doctor.Kill)
	if !doctor.WaitForExit() || doctor.Command.ProcessState.ExitCode() != 0 {
		t.Errorf("the doctor found\n%s", doctor.Output)
	}
	findings := strings.Join(strings.Fields(doctor.Output.String()), " ")
	if err := stage.Mentions(findings, []string{"ok Rails the backend answers", "look transport calls go by POST: the backend answers POST /_catenary but no upgrade", "ok broadcasts", "ok ping"}); err != nil {
		t.Error(err)
	}
}

func TestBackend_InPythonAcceptsOnlySignedCalls(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app := startPython(t, redis, stage.FreeAddress())
	post := func(path, secret, body, nonce string, at time.Time) int {
		key := hmac.New(sha256.New, []byte(secret))
		key.Write([]byte("catenary rpc v1"))
		mac := hmac.New(sha256.New, key.Sum(nil))
		fmt.Fprintf(mac, "v1\n%d\n%s\n%s", at.Unix(), nonce, body)
		request, err := http.NewRequest("POST", app.URL()+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Catenary-Time", fmt.Sprint(at.Unix()))
		request.Header.Set("Catenary-Nonce", nonce)
		request.Header.Set("Catenary-Signature", hex.EncodeToString(mac.Sum(nil)))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return response.StatusCode
	}
	const path, question = "/_catenary", `{"v":1,"node":"n","calls":[]}`
	nonce := strings.ToLower(rand.Text())
	for _, one := range []struct {
		what                string
		status              int
		path, secret, nonce string
		body                string
		age                 time.Duration
	}{
		{"a signed call", 200, path, stage.SecretKeyBase, nonce, question, 0},
		{"a repeated call", 404, path, stage.SecretKeyBase, nonce, question, 0},
		{"another secret", 404, path, "another", "1", question, 0},
		{"an old call", 404, path, stage.SecretKeyBase, "2", question, 2 * time.Minute},
		{"another path", 404, "/", stage.SecretKeyBase, "3", question, 0},
		{"another version", 400, path, stage.SecretKeyBase, "4", `{"v":2,"node":"n","calls":[]}`, 0},
	} {
		if status := post(one.path, one.secret, one.body, one.nonce, time.Now().Add(-one.age)); status != one.status {
			t.Errorf("%s was answered with %d, want %d", one.what, status, one.status)
		}
	}
}
