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

// world is docs/backend.py with a catenary in front of it.
type world struct {
	*testing.T
	redis    *stage.Redis
	app      *stage.App
	catenary *stage.Catenary
}

// python starts docs/backend.py at an address.
func python(t *testing.T, redis *stage.Redis, address string) *stage.App {
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

func start(t *testing.T, flags ...string) *world {
	t.Helper()
	w := &world{T: t}
	var err error
	if w.redis, err = stage.StartRedis(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.redis.Close)
	w.app = python(t, w.redis, stage.FreeAddress())
	if w.catenary, err = stage.StartCatenary(w.app, flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.catenary.Process.Kill)
	return w
}

func (w *world) connect(path string, changes ...string) *stage.Browser {
	w.Helper()
	b, err := stage.Dial(w.catenary.Address, stage.Handshake("GET", path, w.catenary.Address, changes))
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(b.Close)
	return b
}

func (w *world) hears(b *stage.Browser, frames ...string) {
	w.Helper()
	for _, want := range frames {
		if got, ok := stage.NextFrame(b); !ok || got.String() != want {
			w.Fatalf("got %s (%t), want %s", got, ok, want)
		}
	}
}

func (w *world) publishes(message, reply string) {
	w.Helper()
	if err := w.redis.Do("PUBLISH room:7 " + message + " => " + reply); err != nil {
		w.Fatal(err)
	}
}

func TestBackend_InPythonServesABrowser(t *testing.T) {
	t.Parallel()
	w := start(t)
	b := w.connect("/cable?user=ada")
	w.hears(b, stage.Welcome)
	b.Send(stage.Command("subscribe", room, nil))
	w.hears(b, stage.Confirmation(room))
	w.publishes(`{"text":"hello"}`, "1")
	w.hears(b, stage.MessageFor(room, `{"text":"hello"}`))

	echo := func(text string) { b.Send(stage.Command("message", room, `{"action":"echo","text":"`+text+`"}`)) }
	echo("é")
	w.hears(b, stage.MessageFor(room, `{"user": "ada", "count": 1, "echo": "\u00e9"}`))
	w.app.Process.Kill()
	python(t, w.redis, w.app.Address) // which knows who this is, and the count: catenary has kept it
	echo("again")
	w.hears(b, stage.MessageFor(room, `{"user": "ada", "count": 2, "echo": "again"}`))
}

func TestBackend_InPythonRejectsAndForgets(t *testing.T) {
	t.Parallel()
	w := start(t)
	b := w.connect("/cable?user=ada")
	w.hears(b, stage.Welcome)
	for _, identifier := range []string{`{"channel":"OtherChannel"}`, `{"channel":"RoomChannel"}`, `no JSON`} {
		b.Send(stage.Command("subscribe", identifier, nil))
		w.hears(b, stage.About(identifier, `"type":"reject_subscription"`))
	}
	b.Send(stage.Command("subscribe", room, nil))
	w.hears(b, stage.Confirmation(room))
	b.Send(stage.Command("unsubscribe", room, nil))
	if err := w.redis.Do("PUBSUB NUMSUB room:7 => 0"); err != nil {
		t.Fatal(err)
	}
	w.hears(w.connect("/cable"), stage.Unauthorized, "(close 1000)")
	if stranger := w.connect("/cable?user=eve", "Origin: http://elsewhere.example"); stranger.Response.StatusCode != http.StatusNotFound {
		t.Errorf("a page from elsewhere is answered with %s", stranger.Response.Status)
	}
	b.Close()
	if err := w.app.Process.WaitFor(func() error { return stage.Wrote(w.app.Process, "ada has left") }); err != nil {
		t.Fatal(err)
	}
}

// TestBackend_AutoFindsByItselfThatThereIsOnlyPOST: nobody has configured the transport.
func TestBackend_AutoFindsByItselfThatThereIsOnlyPOST(t *testing.T) {
	t.Parallel()
	w := start(t)
	if err := stage.Mentions(w.catenary.Process.Output.String(), []string{"calls go to Rails by POST", "the backend answers POST /_catenary and no upgrade"}); err != nil {
		t.Error(err)
	}
	metrics, err := stage.Get("http://" + w.catenary.Operations + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if err := stage.Mentions(metrics, []string{"catenary_calls_by_post 1\n", "catenary_rails_processes 0\n", "catenary_calls_limit 8\n"}); err != nil {
		t.Error(err)
	}
	err = w.catenary.Process.WaitFor(func() error { // it is taken once a second
		status, err := stage.Get("http://" + w.catenary.Operations + "/status/now")
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
	doctor, err := stage.Start(os.TempDir(), stage.WithSecret, path, "doctor", "ws://"+w.catenary.Address+"/cable?user=ada",
		"--backend-url", w.app.URL(), "--listen", w.catenary.Address, "--operations-listen", w.catenary.Operations)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(doctor.Kill)
	if !doctor.WaitForExit() || doctor.Command.ProcessState.ExitCode() != 0 {
		t.Errorf("the doctor says\n%s", doctor.Output)
	}
	findings := strings.Join(strings.Fields(doctor.Output.String()), " ")
	if err := stage.Mentions(findings, []string{"ok Rails the backend answers", "look transport calls go by POST: the backend answers POST /_catenary and no upgrade", "ok broadcasts", "ok ping"}); err != nil {
		t.Error(err)
	}
}

func TestBackend_InPythonBelievesOnlyCatenary(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	app := python(t, redis, stage.FreeAddress())
	say := func(path, secret, body, nonce string, at time.Time) int {
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
		{"a signed question", 200, path, stage.SecretKeyBase, nonce, question, 0},
		{"the same again", 404, path, stage.SecretKeyBase, nonce, question, 0},
		{"another secret", 404, path, "another", "1", question, 0},
		{"an old question", 404, path, stage.SecretKeyBase, "2", question, 2 * time.Minute},
		{"another path", 404, "/", stage.SecretKeyBase, "3", question, 0},
		{"another version", 400, path, stage.SecretKeyBase, "4", `{"v":2,"node":"n","calls":[]}`, 0},
	} {
		if status := say(one.path, one.secret, one.body, one.nonce, time.Now().Add(-one.age)); status != one.status {
			t.Errorf("%s is answered with %d, want %d", one.what, status, one.status)
		}
	}
}
