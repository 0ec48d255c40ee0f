package stage

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ProjectRoot is the folder of go.mod, above the folder that a test runs in.
var ProjectRoot = func() string {
	folder, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "go.mod")); err == nil {
			return folder
		}
		if folder == filepath.Dir(folder) {
			panic("no go.mod above this folder")
		}
		folder = filepath.Dir(folder)
	}
}()

// A Process is a program that a test has started, such as redis-server, Puma, catenary or Node.
type Process struct {
	Command *exec.Cmd
	Output  *Output
	Exited  chan struct{}
	Err     error // result of Wait; read it after Exited is closed
}

// Output collects what a process writes.
type Output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// Empty discards what has been written so far.
func (o *Output) Empty() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buffer.Reset()
}

// Tail returns the last 100 lines, for failure messages.
func (o *Output) Tail() string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

// Start runs a program in dir. env is added to the environment. The process is killed when the test
// binary exits.
func Start(dir string, env []string, name string, arguments ...string) (*Process, error) {
	command := exec.Command(name, arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), env...)
	return StartCommand(command)
}

// StartCommand starts a command in a process group of its own and collects its output.
func StartCommand(command *exec.Cmd) (*Process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{Command: command, Output: &Output{}, Exited: make(chan struct{})}
	command.Stdout, command.Stderr = p.Output, p.Output
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s (if it is not installed, run script/install): %w", command.Path, err)
	}
	go func() {
		p.Err = command.Wait()
		if _, race, found := strings.Cut(p.Output.String(), "WARNING: DATA RACE"); found {
			races.Write([]byte(race))
		}
		close(p.Exited)
	}()
	return p, nil
}

// Signal sends a signal to the process, not to its children.
func (p *Process) Signal(signal syscall.Signal) { p.Command.Process.Signal(signal) }

// Kill kills the process and its children.
func (p *Process) Kill() {
	syscall.Kill(-p.Command.Process.Pid, syscall.SIGKILL)
	<-p.Exited
}

// Stop sends SIGTERM and waits for the process to exit.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	if !p.WaitForExit() {
		p.Kill()
		t.Fatalf("%s did not stop:\n%s", p.Command.Path, p.Output.Tail())
	}
}

// WaitForExit reports whether the process exits within Patience.
func (p *Process) WaitForExit() bool { return p.exitsWithin(Patience) }

func (p *Process) exitsWithin(timeout time.Duration) bool {
	select {
	case <-p.Exited:
		return true
	case <-time.After(timeout):
		return false
	}
}

// WaitFor polls until ready returns nil. It fails if the process exits or Patience is over.
func (p *Process) WaitFor(ready func() error) error {
	for began := time.Now(); ; PauseSince(began) {
		err := ready()
		select {
		case <-p.Exited: // even if ready returns nil: another process answered
			return fmt.Errorf("%s exited: %v\n%s", p.Command.Path, p.Err, p.Output.Tail())
		default:
		}
		if err == nil {
			return nil
		}
		if time.Since(began) > Patience {
			return fmt.Errorf("%s is not ready after %v: %w\n%s", p.Command.Path, Patience, err, p.Output.Tail())
		}
	}
}

// WaitForOutput waits until the output ends with text.
func (p *Process) WaitForOutput(text string) error {
	if !Await(func() bool { return strings.HasSuffix(p.Output.String(), text) }) {
		return fmt.Errorf("the output ends with %q", p.Output.Tail())
	}
	return nil
}
