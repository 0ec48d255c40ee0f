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

// A Process is a program that a test has started: redis-server, Puma, catenary or Node.
type Process struct {
	Command *exec.Cmd
	Output  *Output
	Ended   chan struct{}
	Err     error // of the end, once ended is closed
}

// Output keeps what a process has written.
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

// Empty forgets what has been written.
func (o *Output) Empty() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buffer.Reset()
}

// Tail is the end of the output, for failures.
func (o *Output) Tail() string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

// Start runs a program in dir. env are additions to the environment. It is killed with the test binary at the latest.
func Start(dir string, env []string, name string, arguments ...string) (*Process, error) {
	command := exec.Command(name, arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), env...)
	return StartCommand(command)
}

// StartCommand starts a command in a process group of its own and keeps its output.
func StartCommand(command *exec.Cmd) (*Process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &Process{Command: command, Output: &Output{}, Ended: make(chan struct{})}
	command.Stdout, command.Stderr = p.Output, p.Output
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s, perhaps it is not installed: run script/install: %w", command.Path, err)
	}
	go func() {
		p.Err = command.Wait()
		if _, race, found := strings.Cut(p.Output.String(), "WARNING: DATA RACE"); found {
			races.Write([]byte(race))
		}
		close(p.Ended)
	}()
	return p, nil
}

// Signal sends a signal to the process alone.
func (p *Process) Signal(signal syscall.Signal) { p.Command.Process.Signal(signal) }

// Kill ends the process and its children at once.
func (p *Process) Kill() {
	syscall.Kill(-p.Command.Process.Pid, syscall.SIGKILL)
	<-p.Ended
}

// Stop asks the process to end and waits.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	if !p.Ends() {
		p.Kill()
		t.Fatalf("%s did not stop:\n%s", p.Command.Path, p.Output.Tail())
	}
}

// Ends waits for the end of the process.
func (p *Process) Ends() bool { return p.endsWithin(Patience) }

func (p *Process) endsWithin(timeout time.Duration) bool {
	select {
	case <-p.Ended:
		return true
	case <-time.After(timeout):
		return false
	}
}

// WaitFor polls until ready says nil, or the process ends, or patience does.
func (p *Process) WaitFor(ready func() error) error {
	deadline := time.Now().Add(Patience)
	for {
		err := ready()
		select {
		case <-p.Ended: // even if ready says nil: it is another process that answers
			return fmt.Errorf("%s ended: %v\n%s", p.Command.Path, p.Err, p.Output.Tail())
		default:
		}
		if err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %v: %w\n%s", p.Command.Path, Patience, err, p.Output.Tail())
		}
	}
}

// Shows waits until the output ends with text.
func (p *Process) Shows(text string) error {
	for deadline := time.Now().Add(Patience); !strings.HasSuffix(p.Output.String(), text); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("it ends with %q", p.Output.Tail())
		}
	}
	return nil
}
