package attack

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// secrets maps where a secret is to the secret. catenary may write none of them anywhere: log,
// answers, errors.
type secrets map[string]string

var canaries = secrets{
	"CATENARY_SECRET":                   "canary-call-0123456789abcdef0123456789abcdef",
	"secret_key_base":                   stage.SecretKeyBase,
	"jwt.secret":                        stage.TokenSecret,
	"jwt.rotation_secret":               "canary-rotation-0123456789abcdef",
	"Redis' password in the URL":        "canary-redis-url",
	"Redis' password under its own key": "canary-redis-key",
	"a wrong password of Redis":         "canary-redis-wrong",
	"the sentinels' password":           "canary-sentinel",
	"a cookie":                          "canary-cookie",
	"a password in the query":           "canary-query",
	"a command":                         "canary-said",
	"a token of another app":            "canary-authorization",
}

// in returns where the secrets in a text come from, each with the line that has it.
func (s secrets) in(text string) (found []string) {
	for place, secret := range s {
		if at := strings.Index(text, secret); at >= 0 {
			line := text[strings.LastIndexByte(text[:at], '\n')+1:]
			line, _, _ = strings.Cut(line, "\n")
			found = append(found, fmt.Sprintf("%s is in\n\t%.2000s", place, line))
		}
	}
	return found
}

// A spy checks all that catenary writes.
type spy struct {
	*testing.T
	secrets secrets
	mu      sync.Mutex
	seen    map[string]int // number of bytes by their source
}

func (s *spy) check(what, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen[what] += len(text)
	for _, leak := range s.secrets.in(text) {
		s.Errorf("%s: %s", what, leak)
	}
}

// It tries every log level and both formats, good and bad requests, and makes every part fail.
func TestSecrets_AppearInNoOutput(t *testing.T) {
	t.Parallel()
	s := &spy{T: t, secrets: secrets{}, seen: map[string]int{}}
	for place, secret := range canaries {
		s.secrets[place] = secret
	}
	good, bad := stage.DeviseToken(t, ""), stage.DeviseToken(t, `"exp" => now - 1`)
	for name, token := range map[string]string{"a good token": good, "a bad token": bad} {
		parts := strings.Split(token, ".")
		s.secrets["the claims of "+name], s.secrets["the signature of "+name] = parts[1], parts[2]
	}
	collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		spans, _ := io.ReadAll(r.Body)
		s.check("traces", string(spans))
	}))
	defer collector.Close()
	root, redis, rails := secretRoot(t, s, collector.URL)

	settings := [][]string{{"--pass-through", "all"}, {"--pass-through", "EchoChannel"}, {"--tls-certificate", root + "/certificate.pem", "--tls-key", root + "/key.pem", "--operations-pprof"}}
	for _, level := range []string{"debug", "info", "warn", "error"} {
		settings = append(settings, []string{"--proxy", "--log-level", level}, []string{"--proxy", "--log-level", level, "--log-format", "json"})
	}
	nodes := make([]*stage.Catenary, len(settings))
	var starting sync.WaitGroup
	for i, flags := range settings {
		starting.Go(func() {
			nodes[i] = secretNode(t, rails, append([]string{"--root", root, "--log-level", "debug"}, flags...)...)
		})
	}
	starting.Wait()
	if t.Failed() {
		return
	}
	const secure = 2
	s.visitSecurely(nodes[secure], good, bad)

	visitAll := func() {
		var all sync.WaitGroup
		for _, node := range slices.Delete(slices.Clone(nodes), secure, secure+1) {
			all.Go(func() { s.visit(node, good, bad) })
		}
		all.Wait()
	}
	visitAll()
	s.command(root, "config")
	s.command(root, "doctor", "ws://"+nodes[0].Address+"/cable?token="+good, "--backend-url", rails.URL(), "--cookie", "a="+canaries["a cookie"])
	if err := redis.Client.ConfigSet(context.Background(), "requirepass", "another").Err(); err != nil {
		t.Fatal(err)
	}
	redis.Client.ClientKillByFilter(context.Background(), "TYPE", "pubsub") // catenary reconnects with a password that is wrong now
	s.command(root, "disconnect", "--sub", "7")
	s.command(root, "doctor", "--backend-url", rails.URL())
	s.command(root, "bench", "echo", "ws://"+nodes[0].Address+"/cable?token="+bad, "-n", "1", "-m", "1", "--timeout", "1s")
	s.command(root, "bench", "fanout", "ws://"+nodes[0].Address+"/cable?token="+good, "-n", "1", "-m", "1", "--timeout", "1s", "--redis-url", "redis://:"+canaries["a wrong password of Redis"]+"@"+redis.Address)
	redis.Down()
	s.command(root, "disconnect", "--sub", "7")
	rails.Process.Kill()
	visitAll()
	s.command(root, "bench", "echo", "ws://"+stage.FreeAddress()+"/cable?token="+good, "-n", "1")
	s.command(root, "bench", "echo", "ws://"+nodes[0].Address+":x/cable?token="+good, "-n", "1")
	s.command(root, "doctor", "ws://"+nodes[0].Address+"/%zz?token="+good, "--backend-url", rails.URL())
	s.command(root, "doctor", "ws://"+stage.FreeAddress()+"/cable?token="+good, "--backend-url", rails.URL())
	s.command(root, "audit", stage.ProjectRoot+"/testdata/lab")

	var stopping sync.WaitGroup
	for _, node := range nodes {
		stopping.Go(func() {
			node.Process.Signal(syscall.SIGTERM)
			<-node.Process.Exited
			s.check("the log", node.Process.Output.String())
		})
	}
	stopping.Wait()
	for _, what := range []string{"the log", "answers", "traces", "/metrics", "/ready", "catenary config", "catenary disconnect", "catenary bench", "catenary doctor"} {
		if s.seen[what] == 0 {
			t.Errorf("got nothing from %s", what)
		}
	}
}

// secretRoot starts Redis with a password and Rails, and returns a root whose configuration is full
// of secrets.
func secretRoot(t *testing.T, s *spy, collector string) (root string, redis *stage.Redis, rails *stage.App) {
	t.Helper()
	redis, err := stage.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(redis.Close)
	if err := redis.Client.ConfigSet(context.Background(), "requirepass", canaries["Redis' password in the URL"]).Err(); err != nil {
		t.Fatal(err)
	}
	url := "redis://:" + canaries["Redis' password in the URL"] + "@" + redis.Address + "/1"
	rails, err = stage.StartApp("lab", true, "REDIS_URL="+url, "LAB_DISABLE_FORGERY_PROTECTION=true", "CATENARY_SECRET="+canaries["CATENARY_SECRET"])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rails.Close)
	root = stage.RootWith(t, "config/cable.yml", "development:\n  adapter: redis\n  url: "+url+"\n")
	settings := fmt.Sprintf(`shared:
  backend:
    secret: %q
    open_timeout: 400ms
    timeout: 2s
  shutdown:
    grace: 1s
  telemetry:
    otlp_endpoint: %s
  jwt:
    secret: %q
    rotation_secret: %q
    subprotocol: raw
    cookie: jwt
`, canaries["CATENARY_SECRET"], collector, canaries["jwt.secret"], canaries["jwt.rotation_secret"])
	if err := os.WriteFile(filepath.Join(root, "config/catenary.yml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	stage.WriteCertificate(t, root, 1)
	key, err := os.ReadFile(root + "/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(key), "\n")[1:3] {
		s.secrets[fmt.Sprintf("line %d of the TLS key", i+1)] = line
	}
	return root, redis, rails
}

func secretNode(t *testing.T, rails *stage.App, flags ...string) *stage.Catenary {
	t.Helper()
	c, err := stage.StartCatenary(rails, flags...)
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(c.Process.Kill)
	return c
}

// visit sends good and bad requests with secrets in every place, and gets all pages for operators.
func (s *spy) visit(node *stage.Catenary, good, bad string) {
	cookie := "Cookie: _session=" + canaries["a cookie"]
	for _, token := range []string{good, bad, bad[:len(bad)-3], "x", ""} {
		for _, request := range []string{
			stage.Handshake("GET", "/cable?password="+canaries["a password in the query"]+"#%zz", node.Address, []string{"Cookie: jwt=" + token}),
			stage.Handshake("GET", "/cable?password="+canaries["a password in the query"]+"&token="+token, node.Address, []string{cookie}),
			stage.Handshake("GET", "/cable?token="+token+"&token="+token, node.Address, []string{cookie}),
			stage.Handshake("GET", "/cable", node.Address, []string{"Authorization: Bearer " + token}),
			stage.Handshake("GET", "/cable", node.Address, []string{"Authorization: Bearer " + canaries["a token of another app"], cookie}),
			stage.Handshake("GET", "/cable", node.Address, []string{"Authorization: Basic " + canaries["a token of another app"], cookie}),
			stage.Handshake("GET", "/cable", node.Address, []string{"Cookie: jwt=" + token}),
			stage.Handshake("GET", "/cable", node.Address, []string{"Sec-WebSocket-Protocol: actioncable-v1-json, " + token}),
			stage.Handshake("GET", "/cable?token="+token, node.Address, []string{"Sec-WebSocket-Key: short", cookie}),
			stage.Handshake("GET", "/cable?token="+token, node.Address, []string{"Upgrade: (none)", cookie}),
			stage.Handshake("GET", "/cable?mode=raise&token="+token, node.Address, nil),
			stage.Handshake("GET", "/cable?mode=reject&token="+token, node.Address, nil),
			stage.Handshake("GET", "/cable?token="+token+"#%zz", node.Address, []string{cookie}),
			stage.Handshake("GET", "/cable?token="+token, "[::1", []string{cookie}),
			stage.Handshake("GET", "/cable?token="+token+"%", "a%zz", []string{cookie}),
			stage.Handshake("GET", "/cable?token="+token, node.Address, []string{"X: \x00", cookie}),
			stage.Handshake("GET", "/elsewhere?token="+token, node.Address, []string{cookie}),
			stage.Handshake("POST", "/_catenary?token="+token, node.Address, []string{cookie}),
			"GET /cable?token=" + token + "\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
			"GET /cable?token=" + token + " HTTP/9.9\r\nHost: a\r\n" + cookie + "\r\n\r\n",
		} {
			s.check("answers", s.converse(func() (io.ReadWriteCloser, error) { return stage.Connect("", node.Address) }, request))
		}
	}
	for _, path := range []string{"/metrics", "/ready", "/about", "/live", "/", "/status", "/debug/pprof/cmdline", "/debug/pprof/", "/disconnect?token=" + good} {
		answer, err := stage.Get("http://" + node.Operations + path)
		if err != nil && path != "/" {
			s.Errorf("GET %s: %v", path, err)
		}
		s.check(path, answer)
	}
	response, err := http.Post("http://"+node.Operations+"/disconnect", "application/json", strings.NewReader(`{"sub":"7","token":"`+canaries["a command"]+`"`))
	if err == nil {
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		s.check("/disconnect", string(body))
	}
}

// converse makes a handshake, sends valid and invalid messages, and returns what came back.
func (s *spy) converse(connect func() (io.ReadWriteCloser, error), request string) string {
	conn, err := connect()
	if err != nil {
		s.Errorf("connect: %v", err)
		return ""
	}
	defer conn.Close()
	io.WriteString(conn, request)
	stop := time.AfterFunc(5*time.Second, func() { conn.Close() })
	defer stop.Stop()
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	if err != nil {
		return ""
	}
	var all strings.Builder
	response.Header.Write(&all)
	if response.StatusCode != http.StatusSwitchingProtocols {
		io.Copy(&all, io.LimitReader(response.Body, 1<<20))
		return all.String()
	}
	for _, text := range []string{
		"not JSON " + canaries["a command"],
		stage.Command("subscribe", `{"channel":"`+canaries["a command"]+`"}`, nil),
		stage.Command("subscribe", honestEcho, nil),
		stage.Command("message", honestEcho, `{"action":"fail","password":"`+canaries["a command"]+`"}`),
		stage.Command("message", honestEcho, `{"action":"closeconn"}`),
	} {
		conn.Write(stage.MaskedFrame(0x80|stage.OpText, []byte(text)))
	}
	conn.Write(stage.MaskedFrame(0x80|stage.OpClose, stage.ClosePayload(1000, "")))
	for {
		op, payload, err := stage.ReadFrame(reader)
		if err != nil || op == stage.OpClose {
			return all.String()
		}
		if !strings.Contains(string(payload), `"type":"reject_subscription"`) { // it must contain the identifier
			all.Write(payload)
		}
	}
}

func (s *spy) visitSecurely(node *stage.Catenary, good, bad string) {
	dial := func() (io.ReadWriteCloser, error) {
		return tls.Dial("tcp", node.Address, &tls.Config{InsecureSkipVerify: true})
	}
	for _, token := range []string{good, bad} {
		s.check("answers", s.converse(dial, stage.Handshake("GET", "/cable?token="+token, node.Address, []string{"Cookie: a=" + canaries["a cookie"]})))
		s.check("answers", s.converse(func() (io.ReadWriteCloser, error) { return stage.Connect("", node.Address) },
			"GET /cable?token="+token+" HTTP/1.1\r\nHost: a\r\nCookie: a="+canaries["a cookie"]+"\r\n\r\n"))
	}
	answer, err := stage.Get("http://" + node.Operations + "/debug/pprof/cmdline?debug=1")
	if err == nil {
		s.check("/debug/pprof/cmdline", answer)
	}
}

// command runs a subcommand of catenary and checks its output. The user has typed what is in the
// arguments, but the output must not repeat it.
func (s *spy) command(root, name string, arguments ...string) {
	s.Helper()
	path, err := stage.Binary()
	if err != nil {
		s.Fatal(err)
	}
	if name != "audit" && name != "bench" {
		arguments = append(arguments, "--root", root)
	}
	ctx, cancel := context.WithTimeout(context.Background(), stage.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, path, append([]string{name}, arguments...)...)
	command.Env = append(os.Environ(), "SECRET_KEY_BASE="+stage.SecretKeyBase)
	out, err := command.CombinedOutput()
	s.check("catenary "+name, string(out)+fmt.Sprintln(err))
}

func TestSecrets_AppearInNoConfigurationError(t *testing.T) {
	t.Parallel()
	s := &spy{T: t, secrets: canaries, seen: map[string]int{}}
	url, key := canaries["Redis' password in the URL"], canaries["Redis' password under its own key"]
	for what, files := range map[string][2]string{ // cable.yml and catenary.yml
		"an invalid port":           {"development:\n  adapter: redis\n  url: redis://:" + url + "@localhost:x/1\n", ""},
		"an invalid scheme":         {"development:\n  adapter: redis\n  url: http://user:" + url + "@localhost/1\n", ""},
		"an invalid database":       {"development:\n  adapter: redis\n  url: redis://:" + url + "@localhost/canary\n", ""},
		"an invalid escape":         {"development:\n  adapter: redis\n  url: redis://:" + url + "%zz@localhost/1\n", ""},
		"a blank in the URL":        {"development:\n  adapter: redis\n  url: \"redis://:a b" + url + "@local host/1\"\n", ""},
		"a password that is a list": {"development:\n  adapter: redis\n  password: [" + key + "]\n", ""},
		"a misspelled key":          {"development:\n  adapter: redis\n  pasword: " + key + "\n", ""},
		"a password and ERB":        {"development:\n  adapter: redis\n  password: <%= \"" + key + "\" + rand %>\n", ""},
		"invalid YAML":              {"development:\n  adapter: redis\n  password: \"" + key + "\n", ""},
		"a sentinel":                {"development:\n  adapter: redis\n  sentinels: [{host: a, port: x, password: " + canaries["the sentinels' password"] + "}]\n", ""},
		"a secret that is a list":   {"", "shared:\n  backend:\n    secret: [" + canaries["CATENARY_SECRET"] + "]\n"},
		"jwt.secret misspelled":     {"", "shared:\n  jwt:\n    secrets: " + canaries["jwt.rotation_secret"] + "\n"},
		"jwt.secret as mapping":     {"", "shared:\n  jwt:\n    secret: {a: " + canaries["jwt.rotation_secret"] + "}\n"},
		"a user in backend.url":     {"", "shared:\n  backend:\n    url: http://user:" + key + "@localhost\n"},
		"a user in jwks_url":        {"", "shared:\n  jwt:\n    jwks_url: https://user:" + key + "@localhost/keys\n"},
		"an invalid backend.url":    {"", "shared:\n  backend:\n    url: \"http://user:" + key + "%zz@local host\"\n"},
		"a TLS key as certificate":  {"", "shared:\n  tls:\n    certificate: config/cable.yml\n    key: config/catenary.yml\n  backend:\n    secret: " + canaries["CATENARY_SECRET"] + "\n"},
	} {
		t.Log(what)
		root := stage.RootWith(t, "config/catenary.yml", files[1])
		if files[0] != "" {
			if err := os.WriteFile(filepath.Join(root, "config/cable.yml"), []byte(files[0]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s.command(root, "config")
		c := stage.Launch(t, []string{"SECRET_KEY_BASE=" + stage.SecretKeyBase}, "--root", root, "--backend-url", "http://"+stage.FreeAddress(), "--log-level", "debug")
		killAfterStart(c)
		s.check("a start", c.Process.Output.String())
	}
	for _, variable := range []string{
		"REDIS_URL=redis://:" + url + "@h:x", "REDIS_URL=" + url, "CATENARY_BROADCASTS_REDIS_URL=http://:" + url + "@h", "CATENARY_BROADCASTS_REDIS_PASSWORT=" + key,
		"CATENARY_BROADCASTS_REDIS_SENTINEL_PASSWORD=" + canaries["the sentinels' password"], "CATENARY_JWT_SECRET=" + canaries["jwt.rotation_secret"], "CATENARY_SECRETS=" + canaries["CATENARY_SECRET"],
	} {
		c := stage.Launch(t, []string{"SECRET_KEY_BASE=" + stage.SecretKeyBase, variable}, "--backend-url", "http://"+stage.FreeAddress(), "--log-level", "debug")
		killAfterStart(c)
		s.check("a start", c.Process.Output.String())
	}
}

// killAfterStart waits until catenary has failed or started, and kills it.
func killAfterStart(c *stage.Catenary) {
	c.Process.WaitFor(func() error { // it fails, or waits for Rails
		_, err := stage.Get("http://" + c.Operations + "/ready")
		return err
	})
	time.Sleep(300 * time.Millisecond) // more may be logged
	c.Process.Kill()
}

// Rails answers with statuses and headers that no server may send.
func TestSecrets_AppearInNoPanic(t *testing.T) {
	t.Parallel()
	s := &spy{T: t, secrets: canaries, seen: map[string]int{}}
	for _, status := range []int{-1, 0, 42, 101, 199, 1000} {
		rails := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if body, _ := io.ReadAll(r.Body); !strings.Contains(string(body), `"do"`) {
				fmt.Fprint(w, `{"v":1,"process":"b","results":[],"settings":{}}`)
				return
			}
			fmt.Fprintf(w, `{"v":1,"process":"b","results":[{"status":%d,"ops":[],"headers":[["Set-Cookie","a\nb"],["X y",""]],"body":""}]}`, status)
		}))
		defer rails.Close()
		redis, err := stage.StartRedis()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(redis.Close)
		c := stage.Launch(t, stage.WithSecret, "--backend-url", rails.URL, "--backend-transport", "post", "--broadcasts-redis-url", redis.URL(), "--broadcasts-channel-prefix", "x", "--log-level", "debug")
		if err := c.Process.WaitFor(func() error { return stage.Wrote(c.Process, "catenary is listening") }); err != nil {
			t.Fatal(err)
		}
		b, err := stage.Dial(c.Address, stage.Handshake("GET", "/cable?token="+canaries["a password in the query"], c.Address, []string{"Cookie: a=" + canaries["a cookie"]}))
		if err != nil {
			t.Errorf("status %d from Rails: %v", status, err)
		} else if b.Response.StatusCode != http.StatusServiceUnavailable && b.Response.StatusCode != http.StatusBadGateway {
			t.Errorf("status %d from Rails: got %s", status, b.Response.Status)
		}
		c.Process.Kill()
		s.check("the log", c.Process.Output.String())
		if strings.Contains(c.Process.Output.String(), "panic") {
			t.Errorf("status %d: %s", status, c.Process.Output.Tail())
		}
	}
}
