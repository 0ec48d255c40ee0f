package deploy

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
)

// A manager stands for systemd: it holds the sockets and receives the service's notifications.
type manager struct {
	t      *testing.T
	notify *net.UnixConn
	path   string

	mu       sync.Mutex
	received []string
}

func newManager(t *testing.T) *manager {
	m := &manager{t: t, path: filepath.Join(t.TempDir(), "notify")}
	var err error
	if m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: m.path, Net: "unixgram"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.notify.Close() })
	go func() {
		datagram := make([]byte, 4096)
		for {
			n, err := m.notify.Read(datagram)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.received = append(m.received, strings.Split(strings.TrimSpace(string(datagram[:n])), "\n")...)
			m.mu.Unlock()
		}
	}()
	return m
}

// has counts the notifications with a prefix.
func (m *manager) has(prefix string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.received {
		if strings.HasPrefix(line, prefix) {
			n++
		}
	}
	return n
}

// waitFor waits for a notification with a prefix.
func (m *manager) waitFor(p *stage.Process, prefix string) {
	m.t.Helper()
	err := p.WaitFor(func() error {
		if m.has(prefix) == 0 {
			return fmt.Errorf("no notification %s", prefix)
		}
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

// start starts catenary as systemd does, with named sockets.
func (m *manager) start(sockets map[string]*net.TCPListener, env []string, flags ...string) *stage.Process {
	m.t.Helper()
	path, err := stage.Binary()
	if err != nil {
		m.t.Fatal(err)
	}
	command := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$0" "$@"`, path}, flags...)...)
	var names []string
	for name, listener := range sockets {
		file, err := listener.File()
		if err != nil {
			m.t.Fatal(err)
		}
		defer file.Close()
		command.ExtraFiles = append(command.ExtraFiles, file)
		names = append(names, strings.TrimRight(name, "2"))
	}
	command.Dir = os.TempDir()
	command.Env = append(os.Environ(), append(env, stage.WithSecret[0], "NOTIFY_SOCKET="+m.path, "WATCHDOG_USEC=3000000")...)
	if len(names) > 0 {
		command.Env = append(command.Env, fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	p, err := stage.StartCommand(command)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(p.Kill)
	return p
}

func socket(t *testing.T) *net.TCPListener {
	listener, err := net.Listen("tcp", stage.FreeAddress())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.(*net.TCPListener)
}

func TestSystemd_IsNotifiedOfReadinessWatchdogAndStop(t *testing.T) {
	w := stage.NewWorld(t, "rails")
	m := newManager(t)
	w.App.Process.Stop(t)
	w.App.Env = append(w.App.Env, "RUBYLIB="+stage.ProjectRoot+"/rpc/rails/lib")
	catenary := m.start(nil, nil, "--backend-url", w.App.URL(), "--listen", stage.FreeAddress(), "--operations-listen", stage.FreeAddress())
	m.waitFor(catenary, "STATUS=not ready: ")
	m.waitFor(catenary, "WATCHDOG=1")
	if m.has("READY=1") > 0 {
		t.Fatal("catenary is ready without Rails")
	}
	if err := w.App.Up(); err != nil {
		t.Fatal(err)
	}
	m.waitFor(catenary, "READY=1")
	m.waitFor(catenary, "STATUS=ready")
	before := m.has("WATCHDOG=1")
	if err := catenary.WaitFor(func() error {
		if m.has("WATCHDOG=1") < before+3 {
			return fmt.Errorf("no further watchdog notification")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if m.has("STOPPING=1") > 0 {
		t.Error("catenary is stopping")
	}
	catenary.Stop(t)
	if m.has("STOPPING=1") != 1 || m.has("READY=1") != 1 {
		t.Errorf("the notifications were %q", m.received)
	}
}

// Connections wait in systemd's sockets between the old process and the new one.
func TestSystemd_RestartsCatenaryWithoutARefusedConnection(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	m := newManager(t)
	browsers, operations := socket(t), socket(t)
	address := browsers.Addr().String()
	begin := func() *stage.Process {
		before := m.has("READY=1")
		p := m.start(map[string]*net.TCPListener{"catenary.socket": browsers, "operations": operations}, nil,
			"--backend-url", w.App.URL(), "--listen", "127.0.0.1:1", "--operations-listen", "127.0.0.1:1") // addresses that cannot be bound
		if err := p.WaitFor(func() error {
			if m.has("READY=1") == before {
				return fmt.Errorf("not ready")
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	old := begin()
	if body, err := stage.Get("http://" + operations.Addr().String() + "/ready"); err != nil || body != "ready\n" {
		t.Fatal(body, err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	var connecting sync.WaitGroup
	var welcomed, unavailable atomic.Int32
	for range 20 {
		connecting.Go(func() {
			for ctx.Err() == nil {
				b, err := stage.Dial(address, stage.Handshake("GET", "/cable", address, nil))
				switch {
				case err != nil:
					t.Errorf("a new connection: %v", err)
					return
				case b.Response.StatusCode == http.StatusServiceUnavailable: // accepted by the old process just before it stopped
					unavailable.Add(1)
				case b.Response.StatusCode == http.StatusSwitchingProtocols:
					welcomed.Add(1)
				default:
					t.Errorf("a handshake was answered with %s", b.Response.Status)
				}
				time.Sleep(20 * time.Millisecond)
				b.Close()
			}
		})
	}
	await := func(p *stage.Process, more int32) {
		want := welcomed.Load() + more
		if err := p.WaitFor(func() error {
			if welcomed.Load() < want {
				return fmt.Errorf("%d of %d browsers have connected", welcomed.Load(), want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	await(old, 40)
	old.Stop(t)
	fresh := begin()
	await(fresh, 40)
	cancel()
	connecting.Wait()
	t.Logf("%d browsers connected, the old process rejected %d of them", welcomed.Load()+unavailable.Load(), unavailable.Load())
	if n := unavailable.Load(); n > 20 {
		t.Errorf("%d browsers were rejected", n)
	}
}

func TestSystemd_SocketActivationStartsCatenary(t *testing.T) {
	w := stage.NewWorld(t, "catenary")
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	address, operations := stage.FreeAddress(), stage.FreeAddress()
	activate, err := stage.Start(os.TempDir(), nil, "systemd-socket-activate", "-l", address, "-l", operations, "--fdname=cable:operations",
		"-E", stage.WithSecret[0], "-E", "HOME=/", path, "--backend-url", w.App.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(activate.Kill)
	if err := activate.WaitFor(func() error { // the first connection starts catenary
		body, err := stage.Get("http://" + operations + "/ready")
		if err == nil && body != "ready\n" {
			err = fmt.Errorf("%s", body)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	b, err := stage.Dial(address, stage.Handshake("GET", "/cable", address, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if e, ok := stage.NextFrame(b); !ok || e.Text != `{"type":"welcome"}` {
		t.Errorf("%v %v", b.Response.Status, e)
	}
}

func TestSystemd_AmbiguousSocketsAreNamed(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	p := m.start(map[string]*net.TCPListener{"http": socket(t), "http2": socket(t)}, nil, "--broadcasts-redis-url", "redis://127.0.0.1:1")
	if !p.WaitForExit() {
		t.Fatal("catenary still runs")
	}
	if err := stage.Mentions(p.Output.String(), []string{"systemd passes both", "http", "operations", "FileDescriptorName="}); err != nil {
		t.Error(err)
	}
}

func TestSystemd_ItsVariablesAreNotPassedToTheCommand(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	p := m.start(map[string]*net.TCPListener{"http": socket(t)}, nil, "--broadcasts-redis-url", "redis://127.0.0.1:1", "--operations-listen", stage.FreeAddress(),
		"--", "sh", "-c", "env; exec sleep 60")
	if err := p.WaitFor(func() error { return stage.Wrote(p, "PWD=") }); err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"NOTIFY_SOCKET", "WATCHDOG", "LISTEN_"} {
		if strings.Contains(p.Output.String(), word) {
			t.Errorf("the command gets %s:\n%s", word, p.Output)
		}
	}
	p.Signal(syscall.SIGTERM)
	if !p.WaitForExit() {
		t.Error("catenary still runs")
	}
}
