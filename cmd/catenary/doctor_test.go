package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"github.com/catenary-cable/catenary/rpc/rpctest"
	"github.com/golang-jwt/jwt/v5"
	"github.com/gorilla/websocket"
	goredis "github.com/redis/go-redis/v9"
)

// doctorCase is a catenary with an app, a call of the doctor, and what the doctor must find.
type doctorCase struct {
	app       app
	rails     func(*rpctest.Rails)
	flags     func(*clinic) []string                 // of catenary
	env       []string                               // of catenary, besides the secret
	args      func(*clinic) []string                 // of the doctor
	docEnv    []string                               // of the doctor
	publishes func(*clinic) (address, prefix string) // where Rails publishes; nil: where catenary subscribes
	ready     string                                 // part of the answer of /ready; "": it is ready

	broken bool // the doctor exits with status 1
	says   []string
}

// clinic is what one case runs with.
type clinic struct {
	*testing.T
	redis              *stage.Redis
	rails              *rpctest.Rails
	address, operation string
	root               string
	output             stage.Output
}

// proxy starts a proxy before catenary that changes requests, and returns its URL of the cable.
func (c *clinic) proxy(change func(*http.Request)) string {
	backend := &url.URL{Scheme: "http", Host: c.address}
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backend)
		r.Out.Host = r.In.Host
		change(r.Out)
	}})
	c.Cleanup(proxy.Close)
	return proxy.URL + "/cable"
}

// run starts catenary and the app, and then the doctor.
func (p *doctorCase) run(t *testing.T, redis *stage.Redis) (findings string, err error) {
	c := &clinic{T: t, redis: redis, address: stage.FreeAddress(), operation: stage.FreeAddress(), root: t.TempDir()}
	if err := os.Mkdir(filepath.Join(c.root, "config"), 0o755); err != nil {
		t.Fatal(err)
	}
	var change []func(*rpctest.Rails)
	if p.rails != nil {
		change = append(change, p.rails)
	}
	address, prefix := redis.Address, "app:"
	if p.publishes != nil {
		address, prefix = p.publishes(c)
	}
	change = append(change, func(r *rpctest.Rails) {
		r.Publish = func(stream, message string) error {
			client := goredis.NewClient(&goredis.Options{Addr: address, Protocol: 2, DisableIdentity: true})
			defer client.Close()
			return client.Publish(t.Context(), prefix+stream, message).Err()
		}
	})
	c.rails = p.app.start(t, change...)
	flags := []string{"--root", c.root, "--listen", c.address, "--operations-listen", c.operation, "--backend-url", c.rails.URL, "--ping-interval", "200ms",
		"--broadcasts-redis-url", redis.URL(), "--broadcasts-channel-prefix", "app", "--shutdown-grace", "2s", "--shutdown-drain", "0s"}
	if p.flags != nil {
		flags = append(flags, p.flags(c)...)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx, flags, append([]string{"CATENARY_SECRET=" + appSecret}, p.env...), &c.output, &c.output); err != nil {
			fmt.Fprintln(&c.output, "catenary:", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	c.waitForReady(p.ready)

	args := []string{"doctor", "--root", c.root, "--operations-listen", c.operation}
	if p.args != nil {
		args = append(args, p.args(c)...)
	}
	var out strings.Builder
	err = run(t.Context(), args, p.docEnv, &out, &out)
	if strings.Contains(out.String(), appSecret) || strings.Contains(out.String(), "seCret") {
		t.Errorf("a secret is in\n%s", out.String())
	}
	return strings.Join(strings.Fields(out.String()), " "), err
}

// waitForReady waits until the answer of /ready has want in it or, without want, until it is 200.
func (c *clinic) waitForReady(want string) {
	c.Helper()
	body := ""
	for deadline := time.Now().Add(stage.Patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + c.operation + "/ready")
		if err != nil {
			continue
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		body = string(text)
		if want == "" && response.StatusCode == http.StatusOK || want != "" && response.StatusCode != http.StatusOK && strings.Contains(body, want) {
			return
		}
	}
	c.Fatalf("/ready says %q, and not %q\n%s", body, want, c.output.String())
}

func flags(all ...string) func(*clinic) []string { return func(*clinic) []string { return all } }

// written writes a file below the root and returns its path.
func (c *clinic) written(name, text string) string {
	path := filepath.Join(c.root, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	return path
}

func examine(t *testing.T, cases map[string]doctorCase) {
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	for name, p := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			findings, err := p.run(t, redis)
			if broken := err != nil; broken != p.broken || broken != strings.Contains(findings, "FAIL") {
				t.Errorf("broken: %t, %v", broken, err)
			}
			if err := stage.Mentions(findings, p.says); err != nil {
				t.Error(err)
			}
		})
	}
}

var healthy = []string{"ok catenary", "ok Rails", "ok broadcasts", "ok handshake", "ok welcome", "ok ping"}

func TestDoctor_PassesWhatIsHealthy(t *testing.T) {
	examine(t, map[string]doctorCase{
		"as it comes":                     {says: append(healthy, "ok transport calls go over links: process b-")},
		"another mount path":              {app: app{settings: map[string]any{"mount_path": "/realtime"}}, flags: flags("--paths", "/realtime"), says: append(healthy, "/realtime")},
		"force_ssl":                       {app: app{settings: map[string]any{"force_ssl": true}}, says: append(healthy, "as a browser would ask over TLS")},
		"force_ssl and assume_ssl":        {app: app{settings: map[string]any{"force_ssl": true, "assume_ssl": true}}, says: healthy},
		"hosts":                           {app: app{settings: map[string]any{"hosts": []string{"app.example"}}}, says: append(healthy, "as a browser would ask for app.example")},
		"hosts with all their names":      {app: app{settings: map[string]any{"hosts": []string{"/x\\d/", ".app.example"}}}, says: healthy},
		"hosts and force_ssl":             {app: app{settings: map[string]any{"hosts": []string{"app.example"}, "force_ssl": true}}, says: append(healthy, "for app.example, over TLS")},
		"hosts of development":            {app: app{settings: map[string]any{"hosts": []string{".localhost", "#<IPAddr: IPv4:0.0.0.0/0.0.0.0>"}}}, says: healthy},
		"pages of another host":           {app: app{settings: map[string]any{"allow_same_origin_as_host": false, "allowed_request_origins": []string{"/x/", "https://www.app.example"}}}, says: append(healthy, "from a page of https://www.app.example")},
		"any page":                        {app: app{settings: map[string]any{"disable_request_forgery_protection": true, "allow_same_origin_as_host": false}}, says: healthy},
		"catenary's own list of pages":    {app: app{settings: map[string]any{"allowed_request_origins": []string{"https://a.example", "https://b.example"}}}, flags: flags("--allowed-request-origins", "https://b.example"), says: append(healthy, "from a page of https://b.example")},
		"TLS at catenary":                 {flags: certified, says: append(healthy, "wss://")},
		"an adapter that Rails hears":     {flags: flags("--broadcasts-adapter", "rails"), says: append(healthy, "Rails listens to what it broadcasts")},
		"POST, as asked for":              {rails: func(r *rpctest.Rails) { r.Serve = (&app{}).byPOST }, flags: flags("--backend-transport", "post"), says: append(healthy, "as backend.transport says")},
		"everything passed through":       {rails: func(r *rpctest.Rails) { r.Serve = natively }, flags: flags("--pass-through", "all"), says: []string{"ok Rails", "passed through", "ok handshake", "ok welcome", "ok ping"}},
		"tokens that identify nobody yet": {flags: flags("--jwt-issuer", "us"), env: []string{"CATENARY_JWT_SECRET=" + stage.TokenSecret}, says: []string{"ok handshake", "look welcome", "--cookie, or a token"}},
		"a token": {flags: flags("--jwt-algorithms", "HS256"), env: []string{"CATENARY_JWT_SECRET=" + stage.TokenSecret}, args: func(c *clinic) []string {
			return []string{"ws://" + c.address + "/cable?token=" + stage.SignToken(jwt.MapClaims{"sub": "7"})}
		}, says: healthy},
		"visitors who must sign in":      {app: app{connect: []any{[]any{"disconnect", "unauthorized", false}}}, says: []string{"ok handshake", "look welcome"}},
		"a command":                      {flags: flags("--", "sleep", "600"), says: append(healthy, "has started sleep")},
		"a command with another secret":  {flags: flags("--", "sleep", "600"), docEnv: []string{"CATENARY_SECRET=another"}, says: healthy},
		"a doctor without the secret":    {docEnv: []string{"SECRET_KEY_BASE="}, says: healthy},
		"a doctor with another Redis":    {args: flags("--broadcasts-redis-url", "redis://127.0.0.1:1"), says: append(healthy, "with the channel_prefix \"app\"")},
		"Puma's workers":                 {rails: func(r *rpctest.Rails) { r.Workers = 7 }, says: append(healthy, "runs 7 commands at once")},
		"without a status page":          {flags: flags("--operations-status=false"), says: healthy},
		"a proxy that passes everything": {args: func(c *clinic) []string { return []string{c.proxy(func(*http.Request) {})} }, says: healthy},
		"a proxy with TLS, and force_ssl": {app: app{settings: map[string]any{"force_ssl": true}}, args: func(c *clinic) []string {
			address := c.proxy(func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") })
			return []string{address, "--origin", "https://" + strings.Split(address, "/")[2]}
		}, says: healthy},
	})
}

// If catenary is not ready, the doctor gives the same reason as /ready.
func TestDoctor_NamesWhatIsBroken(t *testing.T) {
	without := func(names ...string) func(*clinic) []string {
		return func(c *clinic) []string {
			return []string{c.proxy(func(r *http.Request) {
				for _, name := range names {
					r.Header.Del(name)
				}
			})}
		}
	}
	nobody := stage.FreeAddress()
	elsewhere := func(c *clinic) (string, string) { return c.redis.Address, "other:" }
	examine(t, map[string]doctorCase{
		"no catenary":               {args: flags("--operations-listen", nobody, "--listen", nobody), docEnv: []string{"CATENARY_SECRET=" + appSecret}, broken: true, says: []string{"FAIL catenary nothing answers", "start catenary", "FAIL handshake", "cannot be reached"}},
		"no catenary and no secret": {args: flags("--operations-listen", nobody), broken: true, says: []string{"FAIL configuration", "SECRET_KEY_BASE"}},
		"a file that is no YAML":    {args: func(c *clinic) []string { c.written("config/catenary.yml", "development:\n  ping: [\n"); return nil }, broken: true, says: []string{"FAIL configuration", "config/catenary.yml:"}},
		"another app's catenary": {args: func(c *clinic) []string {
			root := c.TempDir()
			os.Mkdir(filepath.Join(root, "config"), 0o755)
			return []string{"--root", root, "--backend-url", c.rails.URL, "--broadcasts-redis-url", c.redis.URL()}
		}, docEnv: []string{"CATENARY_SECRET=" + appSecret}, broken: true, says: []string{"FAIL catenary", "serves another app, in /", "give each app its own operations.listen"}},
		"another program where catenary should be": {args: func(c *clinic) []string {
			return []string{"--operations-listen", strings.TrimPrefix(c.rails.URL, "http://"), "--listen", c.address}
		},
			docEnv: []string{"CATENARY_SECRET=" + appSecret}, broken: true, says: []string{"FAIL catenary", "is not a catenary of this version"}},
		"no Rails":               {flags: flags("--backend-url", "http://"+nobody), ready: "start the app", broken: true, says: []string{"FAIL Rails", "start the app", "backend.url"}},
		"an app without the gem": {rails: func(r *rpctest.Rails) { r.Serve = http.NotFound }, flags: flags("--backend-url", withoutGem(t)), ready: "404", broken: true, says: []string{"FAIL Rails", "add the gem catenary-rails"}},
		"another secret": {rails: func(r *rpctest.Rails) {
			r.Serve = func(w http.ResponseWriter, _ *http.Request) {
				http.Error(w, "catenary: the signature is wrong", http.StatusForbidden)
			}
		}, env: []string{"CATENARY_SECRET=seCret"}, ready: "403", broken: true, says: []string{"FAIL Rails", "the signature is wrong", "the same CATENARY_SECRET", "from CATENARY_SECRET"}},
		"no link, and it is insisted on": {rails: func(r *rpctest.Rails) { r.Serve = nil }, flags: func(c *clinic) []string {
			return []string{"--backend-transport", "link", "--backend-url", takingUpgrades(c)}
		}, ready: "strips the Upgrade header", broken: true,
			says: []string{"FAIL Rails", "strips the Upgrade header"}},
		"a Redis that is away":    {flags: flags("--broadcasts-redis-url", "redis://"+nobody), ready: "check that it is running", broken: true, says: []string{"FAIL broadcasts browsers receive nothing: ", nobody}},
		"a Redis with a password": {flags: func(c *clinic) []string { return []string{"--broadcasts-redis-url", guarded(c.T).URL()} }, ready: "NOAUTH", broken: true, says: []string{"FAIL broadcasts browsers receive nothing: ", "requires a password"}},
		"another prefix": {app: app{settings: map[string]any{"cable": map[string]any{"adapter": "redis", "channel_prefix": "other"}}}, publishes: elsewhere, ready: "does not arrive", broken: true,
			says: []string{"FAIL broadcasts browsers receive nothing: ", "the channel_prefix \"other\"", "the channel_prefix \"app\""}},
		"an adapter that only Rails hears": {app: app{settings: map[string]any{"cable": map[string]any{"adapter": "async"}}}, flags: flags("--broadcasts-adapter", "redis"), publishes: elsewhere,
			ready: "does not arrive", broken: true, says: []string{"FAIL broadcasts browsers receive nothing: ", "async"}},
		"a proxy that drops Upgrade": {args: without("Upgrade", "Connection"), broken: true, says: []string{"FAIL handshake", "proxy_http_version 1.1"}},
		"a proxy that drops Host": {args: func(c *clinic) []string { return []string{c.proxy(func(r *http.Request) { r.Host = "127.0.0.1" })} }, broken: true,
			says: []string{"FAIL handshake", "the proxy must pass on Host"}},
		"a proxy that drops the sub-protocol": {args: without("Sec-Websocket-Protocol"), broken: true, says: []string{"FAIL handshake", "drops Sec-WebSocket-Protocol"}},
		"a proxy that does not tell TLS":      {app: app{settings: map[string]any{"force_ssl": true}}, args: without(), broken: true, says: []string{"FAIL handshake", "301", "config.force_ssl"}},
		"a page from elsewhere":               {args: flags("--origin", "http://elsewhere.example"), broken: true, says: []string{"FAIL handshake", "http://elsewhere.example to config.action_cable.allowed_request_origins"}},
		"a page that catenary does not let in": {flags: flags("--allowed-request-origins", "https://app.example"), args: flags("--origin", "http://elsewhere.example"), broken: true,
			says: []string{"FAIL handshake", "allowed_request_origins of catenary does not have http://elsewhere.example"}},
		"a host that is not allowed":               {app: app{settings: map[string]any{"hosts": []string{"app.example"}}}, args: without(), broken: true, says: []string{"FAIL handshake", "config.hosts"}},
		"another path":                             {app: app{settings: map[string]any{"mount_path": "/realtime"}}, flags: flags("--paths", "/cable"), ready: "/realtime", broken: true, says: []string{"FAIL Rails", "/realtime", "FAIL handshake", "mount_path"}},
		"a connect that raises":                    {app: app{connect: []any{[]any{"disconnect", "server_restart", true}}}, broken: true, says: []string{"FAIL welcome", "look into its log"}},
		"a proxy that buffers":                     {args: func(c *clinic) []string { return []string{silent(c)} }, broken: true, says: []string{"FAIL welcome no message within", "buffers"}},
		"a name that is not there":                 {args: flags("wss://no-such-name.invalid/cable"), broken: true, says: []string{"FAIL handshake", "cannot be reached"}},
		"a server that speaks no TLS":              {args: func(c *clinic) []string { return []string{"wss://" + c.address + "/cable"} }, broken: true, says: []string{"FAIL handshake", "does not speak TLS"}},
		"a certificate that browsers do not trust": {flags: certified, args: func(c *clinic) []string { return []string{"wss://" + c.address + "/cable"} }, broken: true, says: []string{"FAIL handshake", "browsers will not trust its certificate"}},
	})
}

// certified are the flags for a catenary that serves TLS.
func certified(c *clinic) []string {
	folder := c.TempDir()
	stage.WriteCertificate(c.T, folder, 1)
	return []string{"--tls-certificate", folder + "/certificate.pem", "--tls-key", folder + "/key.pem"}
}

func withoutGem(t *testing.T) string {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	return server.URL
}

// takingUpgrades is a proxy before the app that strips the Upgrade header, which the gem answers
// with 426.
func takingUpgrades(c *clinic) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			(&app{}).byPOST(w, r)
			return
		}
		w.WriteHeader(http.StatusUpgradeRequired)
	}))
	c.Cleanup(server.Close)
	return server.URL
}

func guarded(t *testing.T) *stage.Redis {
	redis, err := stage.StartRedis("--requirepass", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	if err := redis.Client.ConfigSet(t.Context(), "requirepass", "seCret").Err(); err != nil {
		t.Fatal(err)
	}
	return redis
}

// silent is a server that accepts a handshake and sends nothing after it.
func silent(c *clinic) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		upgrader := websocket.Upgrader{Subprotocols: []string{"actioncable-v1-json"}, CheckOrigin: func(*http.Request) bool { return true }}
		if ws, err := upgrader.Upgrade(w, r, nil); err == nil {
			ws.ReadMessage()
			ws.Close()
		}
	}))
	c.Cleanup(server.Close)
	return server.URL
}
