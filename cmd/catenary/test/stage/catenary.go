package stage

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Race says whether catenary is built with the race detector. A test that measures sets it to false before its first catenary starts.
var Race = true

// Built builds catenary once and returns its path. The test processes of a checkout share what is built, which costs nothing
// when it is there already; each has its own link to it, so that it stays what it was.
var Built = sync.OnceValues(func() (string, error) {
	noticeSources()
	checkout := sha256.Sum256([]byte(ProjectRoot))
	shared := filepath.Join(sharedFolder(), fmt.Sprintf("catenary-%x-race-%t", checkout[:6], Race))
	defer takeTurn("build", 1)()
	command := exec.Command("go", "build", fmt.Sprintf("-race=%t", Race), "-o", shared, "./cmd/catenary")
	command.Dir = ProjectRoot
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build catenary: %w\n%s", err, output)
	}
	path := filepath.Join(buildFolder, "catenary")
	return path, os.Link(shared, path)
})

// noticeSources looks at all that the binary and the applications are made of, so that `go test` does not take the result of
// an earlier run for that of this one when any of it has changed.
func noticeSources() {
	for _, folder := range []string{"cable", "cmd", "config", "docs", "protocol", "rpc", "script", "testdata"} {
		filepath.WalkDir(filepath.Join(ProjectRoot, folder), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		})
	}
}

// A Catenary is the real binary in front of an app.
type Catenary struct {
	Address    string // for browsers
	Operations string // for probes
	Process    *Process
}

// StartCatenary starts it as a team would: it is told where the application is and its secret, and asks the
// application for the rest.
func StartCatenary(app *App, flags ...string) (*Catenary, error) {
	c := &Catenary{Address: FreeAddress(), Operations: FreeAddress()}
	return c, c.Up(app, flags...)
}

// Up starts catenary at its addresses and waits until it is ready.
func (c *Catenary) Up(app *App, flags ...string) error {
	path, err := Built()
	if err != nil {
		return err
	}
	arguments := append([]string{"--backend-url", app.URL(), "--listen", c.Address, "--operations-listen", c.Operations}, flags...)
	c.Process, err = Start(os.TempDir(), []string{"SECRET_KEY_BASE=" + SecretKeyBase, "OTEL_BSP_SCHEDULE_DELAY=100"}, path, arguments...)
	if err != nil {
		return err
	}
	return c.Process.WaitFor(c.Ready)
}

// Ready is nil once catenary says so to a load balancer.
func (c *Catenary) Ready() error {
	response, err := http.Get("http://" + c.Operations + "/ready")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(response.Body)
		return fmt.Errorf("not ready: %s", body)
	}
	return nil
}

// Attempt is a catenary that may have reason not to start, or not to be ready.
func Attempt(t *testing.T, env []string, flags ...string) *Catenary {
	path, err := Built()
	if err != nil {
		t.Fatal(err)
	}
	c := &Catenary{Address: FreeAddress(), Operations: FreeAddress()}
	flags = append([]string{"--listen", c.Address, "--operations-listen", c.Operations}, flags...)
	if c.Process, err = Start(t.TempDir(), env, path, flags...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Process.Kill)
	return c
}

// WithSecret is an environment with the secret of the application.
var WithSecret = []string{"SECRET_KEY_BASE=" + SecretKeyBase}

// EndsSaying expects the process to fail soon, with these words in its last line.
func (c *Catenary) EndsSaying(t *testing.T, words ...string) {
	t.Helper()
	if !c.Process.Ends() {
		t.Fatalf("it runs on:\n%s", c.Process.Output)
	}
	if code := c.Process.Command.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	lines := strings.Split(strings.TrimSpace(c.Process.Output.String()), "\n")
	if err := Mentions(lines[len(lines)-1], words); err != nil {
		t.Error(err)
	}
}

// IsNotReadySaying expects these words where a load balancer asks, and no browser to be let in.
func (c *Catenary) IsNotReadySaying(t *testing.T, words ...string) {
	t.Helper()
	var body string
	err := c.Process.WaitFor(func() (err error) {
		if body, err = Get("http://" + c.Operations + "/ready"); err == nil {
			err = Mentions(body, words)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Get("http://" + c.Operations + "/live"); err != nil {
		t.Errorf("it does not say that it lives: %v", err)
	}
}

// Mentions is nil if the text has all the words, and no secret.
func Mentions(text string, words []string) error {
	if strings.Contains(text, SecretKeyBase) {
		return fmt.Errorf("the secret is told: %s", text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("%q is not mentioned in: %s", word, text)
		}
	}
	return nil
}

// Says is nil once the process has written text.
func Says(p *Process, text string) error {
	if !strings.Contains(p.Output.String(), text) {
		return fmt.Errorf("it does not say %q", text)
	}
	return nil
}

// Get returns the body of an answer, whatever its status.
func Get(url string) (string, error) {
	client := http.Client{Timeout: Patience}
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// RootWith makes a root folder for catenary with one file.
func RootWith(t *testing.T, file, text string) string {
	root := t.TempDir()
	path := filepath.Join(root, file)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// Refuses expects a handshake to be answered with 503: the browser comes again.
func (c *Catenary) Refuses(t *testing.T) {
	t.Helper()
	b, err := Dial(c.Address, Handshake("GET", "/cable", c.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the handshake is answered with %s", b.Response.Status)
	}
}
