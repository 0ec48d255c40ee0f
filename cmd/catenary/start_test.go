package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// attempt is a catenary that may have reason not to start, or not to be ready.
func attempt(t *testing.T, env []string, flags ...string) *catenary {
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	c := &catenary{address: freeAddress(), operations: freeAddress()}
	flags = append([]string{"--listen", c.address, "--operations-listen", c.operations}, flags...)
	if c.process, err = start(t.TempDir(), env, path, flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.process.kill)
	return c
}

var withSecret = []string{"SECRET_KEY_BASE=" + secretKeyBase}

// endsSaying expects the process to fail soon, with these words in its last line.
func (c *catenary) endsSaying(t *testing.T, words ...string) {
	t.Helper()
	if !c.process.endsWithin(10 * time.Second) {
		t.Fatalf("it runs on:\n%s", c.process.output)
	}
	if code := c.process.command.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	lines := strings.Split(strings.TrimSpace(c.process.output.String()), "\n")
	if err := mentions(lines[len(lines)-1], words); err != nil {
		t.Error(err)
	}
}

// isNotReadySaying expects these words where a load balancer asks, and no browser to be let in.
func (c *catenary) isNotReadySaying(t *testing.T, words ...string) {
	t.Helper()
	var body string
	err := c.process.waitFor(10*time.Second, func() (err error) {
		if body, err = get("http://" + c.operations + "/ready"); err == nil {
			err = mentions(body, words)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := get("http://" + c.operations + "/live"); err != nil {
		t.Errorf("it does not say that it lives: %v", err)
	}
}

// mentions is nil if the text has all the words, and no secret.
func mentions(text string, words []string) error {
	if strings.Contains(text, secretKeyBase) {
		return fmt.Errorf("the secret is told: %s", text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("%q is not mentioned in: %s", word, text)
		}
	}
	return nil
}

func get(url string) (string, error) {
	client := http.Client{Timeout: 2 * time.Second}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func rootWith(t *testing.T, file, text string) string {
	root := t.TempDir()
	path := filepath.Join(root, file)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestStart_FailsAtOnceIfThePortIsTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	attempt(t, withSecret, "--listen", taken.Addr().String()).endsSaying(t, taken.Addr().String(), "listen", "in use")
}

func TestStart_NamesTheLineThatIsNotYAML(t *testing.T) {
	root := rootWith(t, "config/cable.yml", "development:\n  adapter: redis\n url: redis://localhost\n")
	attempt(t, withSecret, "--root", root).endsSaying(t, "config/cable.yml:2", "YAML")
}

func TestStart_NamesTheKeyThatItDoesNotKnow(t *testing.T) {
	root := rootWith(t, "config/catenary.yml", "development:\n  ping:\n    intervall: 3s\n")
	attempt(t, withSecret, "--root", root).endsSaying(t, "config/catenary.yml:3", "intervall", "interval")
}

func TestStart_SaysThatBroadcastsOfTheAsyncAdapterCannotBeSeen(t *testing.T) {
	root := rootWith(t, "config/cable.yml", "development:\n  adapter: async\n")
	attempt(t, withSecret, "--root", root).endsSaying(t, "config/cable.yml:2", "async", "redis")
}

func TestStart_AsksForASecret(t *testing.T) {
	attempt(t, []string{"SECRET_KEY_BASE="}, "--broadcasts-redis-url", "redis://127.0.0.1:6379").endsSaying(t, "SECRET_KEY_BASE", "CATENARY_SECRET")
}

func TestStart_IsAliveAndNotReadyWhileRailsIsDown(t *testing.T) {
	nobody := freeAddress()
	catenary := attempt(t, withSecret, "--backend-url", "http://"+nobody)
	catenary.isNotReadySaying(t, "not ready", "Rails", nobody, "start the app", "backend.url")
}

func TestStart_IsNotReadyWithTheWrongSecret(t *testing.T) {
	w := newWorld(t, "catenary")
	catenary := attempt(t, []string{"SECRET_KEY_BASE=" + strings.Repeat("wrong", 20)}, "--backend-url", w.app.url(), "--broadcasts-redis-url", w.redis.url())
	catenary.isNotReadySaying(t, "not ready", "403", "the same CATENARY_SECRET", "from SECRET_KEY_BASE", "environment development")
	catenary.refuses(t)
}

func TestStart_IsNotReadyWithoutTheGem(t *testing.T) {
	w := newWorld(t, "rails")
	catenary := attempt(t, withSecret, "--backend-url", w.app.url(), "--broadcasts-redis-url", w.redis.url())
	catenary.isNotReadySaying(t, "not ready", "404", "catenary-rails")
	catenary.refuses(t)
}

func TestStart_IsNotReadyWhileRedisIsDown(t *testing.T) {
	w := newWorld(t, "catenary")
	nobody := freeAddress()
	catenary := attempt(t, withSecret, "--backend-url", w.app.url(), "--broadcasts-redis-url", "redis://"+nobody)
	catenary.isNotReadySaying(t, "not ready", nobody)
}

func TestStart_SaysThatRailsPublishesElsewhere(t *testing.T) {
	w := newWorld(t, "catenary")
	for _, elsewhere := range []struct {
		flags []string
		words string
	}{
		{[]string{"--broadcasts-redis-url", w.redis.url(), "--broadcasts-channel-prefix", "other"}, `the channel_prefix \"other\"`},
		{[]string{"--broadcasts-adapter", "embedded", "--broadcasts-embedded-listen", freeAddress()}, "and REDIS_URL the latter"},
	} {
		catenary := attempt(t, withSecret, append(elsewhere.flags, "--backend-url", w.app.url())...)
		err := catenary.process.waitFor(10*time.Second, func() error {
			return mentions(catenary.process.output.String(), []string{"level=WARN", "Rails publishes", elsewhere.words})
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// refuses expects a handshake to be answered with 503: the browser comes again.
func (c *catenary) refuses(t *testing.T) {
	t.Helper()
	b, err := dial(c.address, handshake("GET", "/cable", c.address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if b.response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the handshake is answered with %s", b.response.Status)
	}
}
