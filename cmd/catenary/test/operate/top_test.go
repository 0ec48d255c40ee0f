package operate

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/catenary-cable/catenary/cmd/catenary/test/stage"
	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal of 80 columns and 24 lines, and returns its two ends.
func terminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	must(err)
	t.Cleanup(func() { user.Close() })
	must(unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	must(err)
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	must(err)
	t.Cleanup(func() { program.Close() })
	must(unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}))
	return user, program
}

// runOn starts a command on a terminal and collects its output.
func runOn(t *testing.T, user, program *os.File, command *exec.Cmd) *stage.Process {
	t.Helper()
	command.Stdin, command.Stdout, command.Stderr = program, program, program
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	p := &stage.Process{Command: command, Output: &stage.Output{}, Exited: make(chan struct{})}
	go func() { p.Err = command.Wait(); close(p.Exited) }()
	go func() {
		buffer := make([]byte, 4096)
		for {
			n, err := user.Read(buffer)
			if err != nil {
				return
			}
			p.Output.Write(buffer[:n])
		}
	}()
	return p
}

// runTop runs `catenary top` until it exits.
func runTop(t *testing.T, arguments ...string) (output string, err error) {
	t.Helper()
	path, err := stage.Binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(path, append([]string{"top"}, arguments...)...)
	command.Dir = t.TempDir()
	text, err := command.CombinedOutput()
	return string(text), err
}

func TestTop_ShowsARealRunAndRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	e := stage.StartEdge(t, 1, "")
	crowd(e, 3)
	once, err := runTop(t, "--once", "--operations-listen", e.Nodes[0].Operations)
	if err != nil {
		t.Fatalf("%v\n%s", err, once)
	}
	if err := stage.Mentions(once, []string{"ready", "connections", "subscriptions", "<img src=x", "opened"}); err != nil || strings.Contains(once, "\x1b") {
		t.Errorf("%v\n%s", err, once)
	}
	path, _ := stage.Binary()
	for _, key := range []string{"q", "\x03", ""} { // q, Ctrl-C, SIGTERM
		user, program := terminal(t)
		before, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		top := runOn(t, user, program, exec.Command(path, "top", e.Nodes[0].Operations))
		if err := top.WaitFor(func() error {
			return stage.Mentions(top.Output.String(), []string{"ready", "connections", "3", "<img src=x", "opened", "▁"})
		}); err != nil {
			t.Fatal(err)
		}
		if key == "" {
			e.Nodes[0].Process.Kill()
			if err := top.WaitFor(func() error { return stage.Wrote(top, "no answer") }); err != nil {
				t.Fatal(err)
			}
			top.Signal(syscall.SIGTERM)
		} else {
			user.WriteString(key)
		}
		if !top.WaitForExit() {
			t.Fatalf("%q does not stop it", key)
		}
		if top.Err != nil {
			t.Errorf("%q: it exited with %v", key, top.Err)
		}
		after, err := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
		if err != nil || *after != *before {
			t.Errorf("%q: the terminal is not restored: %v\n%+v\n%+v", key, err, before, after)
		}
		if err := top.WaitForOutput("\x1b[?7h\x1b[?25h\x1b[?1049l"); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if strings.Contains(top.Output.String(), "\x1b[2J") {
			t.Error("a stream's name reaches the terminal unescaped")
		}
	}
}

func TestTop_ExplainsWhatToDoIfItCannotShowAnything(t *testing.T) {
	t.Parallel()
	nobody, stranger := stage.FreeAddress(), httptest.NewServer(http.NotFoundHandler())
	defer stranger.Close()
	for want, arguments := range map[string][]string{
		"is catenary running? It logs the address":     {"--once", nobody},
		"operations.listen is off":                     {"--operations-listen", "off"},
		"is not the address of an operations listener": {"nonsense"},
		"serves no status":                             {"--once", stranger.URL},
	} {
		if output, err := runTop(t, arguments...); err == nil || !strings.Contains(output, want) {
			t.Errorf("%v: %v, %s, want %s", arguments, err, output, want)
		}
	}
}
