package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/config"
)

// child is the command that starts Rails, "catenary -- bin/rails server". It
// gets a port of its own, and the embedded source's address.
type child struct {
	command *exec.Cmd
	grace   time.Duration
}

// childError is a command that ended before we told it to.
type childError struct {
	command string
	status  int
}

func (e *childError) Error() string {
	return fmt.Sprintf("%s has ended with status %d", e.command, e.status)
}

func newChild(command []string, cfg *config.Config, environ []string, stderr io.Writer) (*child, error) {
	u, err := url.Parse(cfg.Backend.URL)
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	if !cfg.Given("backend.url") {
		port, err := freePort()
		if err != nil {
			return nil, fmt.Errorf("finding a port for Rails: %w", err)
		}
		u.Host = net.JoinHostPort("127.0.0.1", port)
		cfg.Backend.URL = u.String()
	}
	environ = append(without(environ, "PORT"), "PORT="+u.Port())
	if cfg.Backend.Secret.Source() != "CATENARY_SECRET" { // both are ours to start, so they can share a fresh one
		secret := rand.Text()
		cfg.Backend.Secret = config.NewSecret(secret, "this start")
		environ = append(environ, "CATENARY_SECRET="+secret)
	}
	if cfg.Broadcasts.Adapter == "embedded" {
		environ = append(without(environ, "REDIS_URL"), "REDIS_URL=redis://"+cfg.Broadcasts.Embedded.Listen+"/0")
	}
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Stdout, c.Stderr, c.Dir = environ, stderr, stderr, cfg.Root
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us to pass on, when the browsers have been told
	tieToUs(c.SysProcAttr)
	return &child{command: c, grace: cfg.Shutdown.Grace}, nil
}

// run starts the command and waits for its end. When ctx ends, so must it.
func (c *child) run(ctx context.Context) error {
	runtime.LockOSThread() // tieToUs means the thread, which must live as long as we do
	defer runtime.UnlockOSThread()
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("starting Rails: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.command.Wait() }()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return &childError{strings.Join(c.command.Args, " "), max(exit.ExitCode(), 1)}
		}
		if err != nil {
			return fmt.Errorf("waiting for Rails: %w", err)
		}
		return &childError{strings.Join(c.command.Args, " "), 0}
	case <-ctx.Done():
	}
	syscall.Kill(-c.command.Process.Pid, syscall.SIGTERM)
	select {
	case <-ended:
	case <-time.After(c.grace):
		syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	return nil
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

// variable returns the value of an environment variable, "" if there is none.
func variable(environ []string, name string) (value string) {
	for _, one := range environ {
		if rest, ok := strings.CutPrefix(one, name+"="); ok {
			value = rest
		}
	}
	return value
}

func without(environ []string, name string) []string {
	kept := make([]string, 0, len(environ)+2)
	for _, variable := range environ {
		if !strings.HasPrefix(variable, name+"=") {
			kept = append(kept, variable)
		}
	}
	return kept
}
