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

// Race selects whether catenary is built with the race detector. A test that measures sets it to
// false before its first application or catenary starts.
var Race = true

// Binary builds catenary once and returns its path. The test processes of a checkout share the
// build; each links it under a name of its own, so that a rebuild does not change the binary it
// runs.
var Binary = sync.OnceValues(func() (string, error) {
	walkSources()
	checkout := sha256.Sum256([]byte(ProjectRoot))
	shared := filepath.Join(sharedFolder(), fmt.Sprintf("catenary-%x-race-%t", checkout[:6], Race))
	release := takeTurn("build", 1)
	defer release()
	command := exec.Command("go", "build", fmt.Sprintf("-race=%t", Race), "-o", shared, "./cmd/catenary")
	command.Dir = ProjectRoot
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build catenary: %w\n%s", err, output)
	}
	path := filepath.Join(buildFolder, "catenary")
	return path, os.Link(shared, path)
})

// walkSources walks all folders that the binary and the applications are built from, so that `go
// test` notices a change in them and does not reuse a cached result.
func walkSources() {
	for _, folder := range []string{"cable", "cmd", "config", "docs", "protocol", "rpc", "script", "testdata"} {
		filepath.WalkDir(filepath.Join(ProjectRoot, folder), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			return nil
		})
	}
}

// A Catenary is the real binary, running in front of an app.
type Catenary struct {
	Address    string // for browsers
	Operations string // for probes
	Process    *Process
}

// StartCatenary starts catenary as a team would: with the app's URL and its secret. catenary asks
// the app for the rest.
func StartCatenary(app *App, flags ...string) (*Catenary, error) {
	c := &Catenary{Address: FreeAddress(), Operations: FreeAddress()}
	return c, c.Up(app, flags...)
}

// Up starts catenary at its addresses and waits until it reports ready.
func (c *Catenary) Up(app *App, flags ...string) error {
	path, err := Binary()
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

// Ready returns nil when /ready answers 200.
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

// Launch starts a catenary that may fail to start, or may not get ready.
func Launch(t *testing.T, env []string, flags ...string) *Catenary {
	path, err := Binary()
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

// WithSecret is an environment that has the application's secret.
var WithSecret = []string{"SECRET_KEY_BASE=" + SecretKeyBase}

// ExpectExit waits for the process to exit with status 1 and these words in its last line.
func (c *Catenary) ExpectExit(t *testing.T, words ...string) {
	t.Helper()
	if !c.Process.WaitForExit() {
		t.Fatalf("catenary still runs:\n%s", c.Process.Output)
	}
	if code := c.Process.Command.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	lines := strings.Split(strings.TrimSpace(c.Process.Output.String()), "\n")
	if err := Mentions(lines[len(lines)-1], words); err != nil {
		t.Error(err)
	}
}

// ExpectNotReady waits until /ready answers with these words, and expects /live to answer.
func (c *Catenary) ExpectNotReady(t *testing.T, words ...string) {
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
		t.Errorf("/live does not answer: %v", err)
	}
}

// Mentions returns an error unless the text has all the words and does not have the secret.
func Mentions(text string, words []string) error {
	if strings.Contains(text, SecretKeyBase) {
		return fmt.Errorf("the secret leaked: %s", text)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			return fmt.Errorf("%q is not mentioned in: %s", word, text)
		}
	}
	return nil
}

// Wrote returns an error unless the output of a process contains text.
func Wrote(p *Process, text string) error {
	if !strings.Contains(p.Output.String(), text) {
		return fmt.Errorf("the output does not contain %q", text)
	}
	return nil
}

// Get returns the body of a response, regardless of its status.
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

// RootWith returns a new root folder for catenary that has one file.
func RootWith(t *testing.T, file, text string) string {
	root := t.TempDir()
	path := filepath.Join(root, file)
	os.MkdirAll(filepath.Dir(path), 0o755)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return root
}

// ExpectRejected expects a handshake to be answered with 503, after which a browser tries again.
func (c *Catenary) ExpectRejected(t *testing.T) {
	t.Helper()
	b, err := Dial(c.Address, Handshake("GET", "/cable", c.Address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if b.Response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("the handshake was answered with %s", b.Response.Status)
	}
}
