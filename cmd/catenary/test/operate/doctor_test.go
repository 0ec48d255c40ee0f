package operate

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// doctor runs `catenary doctor` against the catenary of a world, and returns its findings as
// "verdict step text".
func doctor(w *stage.World, t *testing.T, arguments ...string) (findings string, status int) {
	t.Helper()
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	arguments = append([]string{"doctor", "--environment", "test", "--backend-url", w.App.URL(), "--listen", w.Catenary.Address,
		"--operations-listen", w.Catenary.Operations}, arguments...)
	p, err := stage.Start(os.TempDir(), stage.WithSecret, path, arguments...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Kill)
	if !p.WaitForExit() {
		t.Fatalf("the doctor does not exit:\n%s", p.Output)
	}
	if err := stage.Mentions(p.Output.String(), nil); err != nil {
		t.Error(err)
	}
	return strings.Join(strings.Fields(p.Output.String()), " "), p.Command.ProcessState.ExitCode()
}

func TestDoctor_NamesTheCause(t *testing.T) {
	t.Parallel()
	w, err := stage.StartWorld("catenary", "own", `LAB_HISTORY={"chat:*":{}}`)
	t.Cleanup(w.Close)
	if err != nil {
		t.Fatal(err)
	}
	behind := func(change func(r *http.Request)) string {
		backend := &url.URL{Scheme: "http", Host: w.Catenary.Address}
		proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(backend)
			r.Out.Host = r.In.Host
			change(r.Out)
		}})
		t.Cleanup(proxy.Close)
		return proxy.URL + "/cable"
	}
	for name, patient := range map[string]struct {
		arguments []string
		status    int
		findings  []string
	}{
		"a healthy catenary":                    {nil, 0, []string{"ok configuration", "ok Rails", "ok transport calls go over links: process b-", "runs 4 commands at once", "ok broadcasts", "ok catenary", "ok handshake", "ok welcome", "ok ping"}},
		"behind a proxy that passes everything": {[]string{behind(func(*http.Request) {})}, 0, []string{"ok handshake", "ok ping"}},
		"behind a proxy that drops Upgrade": {[]string{behind(func(r *http.Request) { r.Header.Del("Upgrade"); r.Header.Del("Connection") })}, 1,
			[]string{"FAIL handshake", "Connection: Upgrade", "proxy_http_version 1.1"}},
		"a page of another origin": {[]string{"--origin", "http://elsewhere.example"}, 1, []string{"FAIL handshake", "http://elsewhere.example to config.action_cable.allowed_request_origins"}},
		"behind a proxy that drops Host": {[]string{behind(func(r *http.Request) { r.Host = "" })}, 1,
			[]string{"FAIL handshake", "the proxy must pass on Host"}},
		"a path that leads to Puma":      {[]string{"ws://" + w.App.Address + "/cable"}, 0, []string{"look handshake", "Send this path to catenary"}},
		"a path that leads nowhere":      {[]string{"ws://" + w.App.Address + "/kable?token=" + stage.SecretKeyBase}, 1, []string{"FAIL handshake", "mount_path"}},
		"a visitor who is not signed in": {[]string{"ws://" + w.Catenary.Address + "/cable?mode=reject"}, 0, []string{"ok handshake", "look welcome", "--cookie"}},
		// Without a catenary to ask, the doctor tests broadcasts itself.
		"another prefix": {[]string{"--operations-listen", "off", "--broadcasts-redis-url", w.Redis.URL(), "--broadcasts-channel-prefix", "other"}, 1,
			[]string{"FAIL broadcasts Rails publishes with no channel_prefix, catenary listens with the channel_prefix \"other\""}},
		"a Redis that is down": {[]string{"--operations-listen", "off", "--broadcasts-redis-url", "redis://:" + stage.SecretKeyBase + "@" + stage.FreeAddress()}, 1,
			[]string{"look broadcasts Rails publishes at " + "redis://" + w.Redis.Address, "FAIL broadcasts"}},
		"another environment":            {[]string{"--environment", "production", "--operations-listen", "off"}, 1, []string{"FAIL Rails it runs in test, catenary in production"}},
		"no catenary":                    {[]string{"--operations-listen", stage.FreeAddress(), "--listen", stage.FreeAddress()}, 1, []string{"FAIL catenary", "start catenary", "FAIL handshake", "cannot be reached"}},
		"a Rails that is called by POST": {[]string{"--backend-transport", "post", "--operations-listen", "off"}, 0, []string{"ok Rails", "ok transport calls go by POST, as backend.transport says"}},
		"a proxy that drops upgrades to Rails": {[]string{"--backend-url", stage.StartProxyWithoutUpgrades(t, w.App), "--operations-listen", "off"}, 0,
			[]string{"ok Rails", "look transport calls go by POST: a proxy between catenary and Rails strips the Upgrade header"}},
		"such a proxy with backend.transport link": {[]string{"--backend-url", stage.StartProxyWithoutUpgrades(t, w.App), "--backend-transport", "link", "--operations-listen", "off"}, 1,
			[]string{"ok Rails", "FAIL transport no link, but backend.transport is link: a proxy between catenary and Rails strips the Upgrade header"}},
		"no Rails": {[]string{"--backend-url", "http://" + stage.FreeAddress(), "--operations-listen", "off"}, 1, []string{"FAIL Rails", "start the app"}},
	} {
		t.Run(name, func(t *testing.T) {
			if len(patient.arguments) > 2 { // the others use catenary's counters
				t.Parallel()
			}
			findings, status := doctor(w, t, patient.arguments...)
			if status != patient.status {
				t.Errorf("status %d, want %d", status, patient.status)
			}
			if err := stage.Mentions(findings, patient.findings); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a publisher without the gem", func(t *testing.T) {
		publishWithoutGem(t, w)
		findings, status := doctor(w, t)
		if err := stage.Mentions(findings, []string{"look history 2 broadcasts on streams with a history came without a number"}); err != nil || status != 0 {
			t.Error(status, err)
		}
		const logged = "broadcasts are not kept for clients that ask for history"
		if n := strings.Count(w.Catenary.Process.Output.String(), logged); n != 1 {
			t.Errorf("logged %d times", n)
		}
	})
}

// publishWithoutGem has another program broadcast to a browser, on a stream with a history.
func publishWithoutGem(t *testing.T, w *stage.World) {
	t.Helper()
	const chat = `{"channel":"StreamChannel","s":"chat:1"}`
	b, err := stage.Dial(w.Catenary.Address, stage.Handshake("GET", "/cable", w.Catenary.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.Send(stage.Command("subscribe", chat, nil))
	if !b.WaitForText("confirm_subscription") {
		t.Fatal("no confirmation")
	}
	if err := w.App.Ask(`POST /broadcast {"stream":"chat:1","message":"with the gem"}`); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := w.Redis.Do(`PUBLISH chat:1 "without"`); err != nil {
			t.Fatal(err)
		}
		if !b.WaitForText("without") {
			t.Fatal("no broadcast")
		}
	}
}

// All findings are good, whatever the app requires of browsers and however catenary was started.
func TestDoctor_FindsNothingWrongWithRealSetups(t *testing.T) {
	t.Parallel()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	for name, c := range map[string]struct {
		env   []string // of the app
		flags []string
		child bool
	}{
		"an app that requires TLS and its own host, and pages of another origin": {
			env: []string{"LAB_FORCE_SSL=true", "LAB_HOSTS=app.example", "LAB_SAME_ORIGIN=false", "LAB_ALLOWED_ORIGINS=/x/ https://www.app.example"},
		},
		"an adapter that only Rails can subscribe to": {env: []string{"LAB_ADAPTER=async"}, flags: []string{"--broadcasts-adapter", "rails"}},
		"a command": {child: true, env: []string{"LAB_ADAPTER=async"}, flags: []string{"--broadcasts-adapter", "rails"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var catenary *stage.Catenary
			if c.child {
				catenary = stage.Launch(t, stage.RailsEnv(true, c.env...), append(c.flags, "--", stage.ProjectRoot+"/script/puma", stage.ProjectRoot+"/testdata/lab")...)
				if err := catenary.Process.WaitFor(catenary.Ready); err != nil {
					t.Fatal(err)
				}
			} else {
				app, err := stage.StartApp("lab", true, append(c.env, "REDIS_URL="+redis.URL())...)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(app.Close)
				if catenary, err = stage.StartCatenary(app, c.flags...); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(catenary.Process.Kill)
			}
			path, _ := stage.Binary()
			p, err := stage.Start(t.TempDir(), nil, path, "doctor", "--operations-listen", catenary.Operations) // no other setting
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Kill)
			if !p.WaitForExit() || p.Err != nil {
				t.Errorf("%v\n%s", p.Err, p.Output)
			}
			findings := strings.Join(strings.Fields(p.Output.String()), " ")
			if err := stage.Mentions(findings, []string{"ok catenary", "ok Rails", "ok transport", "ok broadcasts", "ok handshake", "ok welcome", "ok ping"}); err != nil {
				t.Error(err)
			}
		})
	}
}
