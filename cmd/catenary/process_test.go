package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// projectRoot is where this project lies, seen from cmd/catenary.
var projectRoot = func() string {
	root, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return root
}()

// A process is a program that a test has started: redis-server, Puma, catenary or Node.
type process struct {
	command *exec.Cmd
	output  *output
	ended   chan struct{}
	err     error // of the end, once ended is closed
}

// output keeps what a process has written.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

// tail is the end of the output, for failures.
func (o *output) tail() string {
	lines := strings.Split(strings.TrimSpace(o.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-100):], "\n")
}

// start runs a program in dir. env are additions to the environment. It is killed with the test binary at the latest.
func start(dir string, env []string, name string, arguments ...string) (*process, error) {
	command := exec.Command(name, arguments...)
	command.Dir = dir
	command.Env = append(os.Environ(), env...)
	return startCommand(command)
}

func startCommand(command *exec.Cmd) (*process, error) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	p := &process{command: command, output: &output{}, ended: make(chan struct{})}
	command.Stdout, command.Stderr = p.output, p.output
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s, perhaps it is not installed: run script/install: %w", command.Path, err)
	}
	go func() {
		p.err = command.Wait()
		if _, race, found := strings.Cut(p.output.String(), "WARNING: DATA RACE"); found {
			races.Write([]byte(race))
		}
		close(p.ended)
	}()
	return p, nil
}

func (p *process) signal(signal syscall.Signal) { p.command.Process.Signal(signal) }

// kill ends the process and its children at once.
func (p *process) kill() {
	syscall.Kill(-p.command.Process.Pid, syscall.SIGKILL)
	<-p.ended
}

// stop asks the process to end and waits.
func (p *process) stop(t *testing.T) {
	t.Helper()
	p.signal(syscall.SIGTERM)
	if !p.endsWithin(20 * time.Second) {
		p.kill()
		t.Fatalf("%s did not stop:\n%s", p.command.Path, p.output.tail())
	}
}

func (p *process) endsWithin(timeout time.Duration) bool {
	select {
	case <-p.ended:
		return true
	case <-time.After(timeout):
		return false
	}
}

// waitFor polls until ready says nil, or the process ends, or the time is over.
func (p *process) waitFor(timeout time.Duration, ready func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := ready()
		select {
		case <-p.ended: // even if ready says nil: it is another process that answers
			return fmt.Errorf("%s ended: %v\n%s", p.command.Path, p.err, p.output.tail())
		default:
		}
		if err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %v: %w\n%s", p.command.Path, timeout, err, p.output.tail())
		}
	}
}

// freeAddress is an address on loopback where nothing listens, below the ports that the kernel gives to clients. Puma
// takes seconds to listen on its own, so none is given twice.
func freeAddress() string {
	for {
		address := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(12000))
		if _, again := addresses.LoadOrStore(address, true); again {
			continue
		}
		syscall.ForkLock.RLock() // or a process that is just being started would have the listener too, for a moment
		listener, err := net.Listen("tcp", address)
		if err == nil {
			listener.Close()
		}
		syscall.ForkLock.RUnlock()
		if err == nil {
			return address
		}
	}
}

var addresses sync.Map

// says is nil once the process has written text.
func says(p *process, text string) error {
	if !strings.Contains(p.output.String(), text) {
		return fmt.Errorf("it does not say %q", text)
	}
	return nil
}
