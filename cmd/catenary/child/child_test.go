package child

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/config"
)

// A developer sees at once that pages go past catenary; without a terminal, catenary logs after a
// minute that Rails does not answer.
func TestChild_WarnsIfRailsListensElsewhere(t *testing.T) {
	log := new(safeBuffer)
	c, err := New(Options{
		Command: []string{"sh", "-c", `echo "* Listening on http://0.0.0.0:3000"; exec sleep 60`},
		Config:  load(t), Output: io.Discard, HideAddress: true, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c)
	words := []string{"level=WARN", "Rails listens on another port than the one that catenary gave it: remove -p", "rails=0.0.0.0:3000", "given=" + c.output.address}
	for deadline := time.Now().Add(time.Minute); !mentions(log.String(), words); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it logs %q", log.String())
		}
	}
}

// Puma may listen in more than one place.
func TestChild_DoesNotWarnIfRailsListensThereToo(t *testing.T) {
	log, cfg := new(safeBuffer), load(t)
	c, err := New(Options{
		Command: []string{"sh", "-c", `echo "* Listening on http://0.0.0.0:3000"; exec sleep 60`},
		Config:  cfg, Output: io.Discard, HideAddress: true, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", c.output.address)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	run(t, c)
	conn, err := listener.Accept() // checkAddress has connected, and ends
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if log.String() != "" {
		t.Errorf("it logs %q", log.String())
	}
}

func TestChild_RejectsCommandsThatChooseThePort(t *testing.T) {
	for command, want := range map[string]string{
		"./bin/thrust ./bin/rails server":            "put it in front: ./bin/thrust catenary -- ./bin/rails server",
		"bin/rails server -p 3000":                   "remove -p 3000 from Rails' command, and start catenary with --listen :3000 or PORT=3000",
		"bundle exec rails s -p3000 -e production":   "remove -p3000 from Rails' command, and start catenary with --listen :3000 or PORT=3000",
		"bin/rails server --port=4000":               "remove --port=4000 from Rails' command, and start catenary with --listen :4000 or PORT=4000",
		"env A=b puma --port 4000":                   "remove --port 4000 from Rails' command, and start catenary with --listen :4000 or PORT=4000",
		"bin/rails server -P tmp/server.pid":         "",
		"mkdir -p 3000":                              "",
		"foreman start -p 5000":                      "",
		"bin/rails server --pid tmp/pids/server.pid": "",
	} {
		_, err := New(Options{Command: strings.Fields(command), Config: load(t), Output: io.Discard})
		if got := fmt.Sprint(err); (want == "") != (err == nil) || !strings.Contains(got, want) && err != nil {
			t.Errorf("%s: %v", command, err)
		}
	}
	cfg, err := config.Load(config.Input{Root: t.TempDir(), Environ: []string{"SECRET_KEY_BASE=" + strings.Repeat("x", 64), "CATENARY_BACKEND_URL=http://127.0.0.1:3000"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Command: []string{"bin/rails", "server", "-p", "3000"}, Config: cfg, Output: io.Discard}); err != nil {
		t.Errorf("with backend.url: %v", err)
	}
}

func load(t *testing.T) *config.Config {
	cfg, err := config.Load(config.Input{Root: t.TempDir(), Environ: []string{"SECRET_KEY_BASE=" + strings.Repeat("x", 64)}})
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func run(t *testing.T, c *Child) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func mentions(text string, words []string) bool {
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}
