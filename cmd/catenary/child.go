package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/config"
)

// child is the command that starts Rails, as in "catenary -- bin/rails server". It gets a port of
// its own.
type child struct {
	command *exec.Cmd
	log     *slog.Logger
}

// leastGrace is how long Rails may take to stop, even if catenary has used up the shutdown grace.
const leastGrace = 5 * time.Second

// forwardedSignals are passed on to Rails. Puma reopens its logs, restarts its workers in phases, or
// restarts. Browsers notice none of it.
var forwardedSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// childError means that the command exited although catenary was not stopping.
type childError struct {
	command string
	status  int
}

func (e *childError) Error() string {
	return fmt.Sprintf("%s exited with status %d", e.command, e.status)
}

func newChild(command []string, cfg *config.Config, environ []string, stderr io.Writer, log *slog.Logger) (*child, error) {
	if err := checkCommand(command, cfg); err != nil {
		return nil, err
	}
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
		if onTerminal(stderr) {
			stderr = &withoutAddress{u.Host, stderr}
		}
		environ = append([]string{"BINDING=127.0.0.1"}, environ...) // else "rails server" binds 0.0.0.0 in production
	}
	environ = append(without(environ, append(systemdVariables, "PORT")...), "PORT="+u.Port())
	// catenary and the command share one secret: the app's, as on other nodes, or a random one.
	secret := cfg.Backend.Secret
	if secret.Missing() {
		cfg.Backend.Secret = config.NewSecret(rand.Text(), "this start")
	} else {
		cfg.Backend.Secret = config.NewSecret(secret.Reveal(), secret.Source())
	}
	environ = append(without(environ, "CATENARY_SECRET"), "CATENARY_SECRET="+cfg.Backend.Secret.Reveal())
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Stdout, c.Stderr, c.Dir = environ, stderr, stderr, cfg.Root
	c.WaitDelay = leastGrace // for its children that still write
	// A process group of its own: Ctrl-C must reach Rails only after catenary has notified browsers.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stopWithParent(c.SysProcAttr)
	return &child{c, log}, nil
}

// checkCommand rejects Thruster as the command: it chooses Rails' port itself, and would serve
// browsers in catenary's place.
func checkCommand(command []string, cfg *config.Config) error {
	i := slices.IndexFunc(command, func(word string) bool { return filepath.Base(word) == "thrust" })
	if i < 0 || cfg.Given("backend.url") {
		return nil
	}
	rails := strings.Join(slices.Concat(command[:i], command[i+1:]), " ")
	return fmt.Errorf("Thruster cannot run behind catenary, because it chooses Rails' port itself: put it in front: %s catenary -- %s", command[i], rails)
}

// run starts the command and waits until it exits. It stops the command when ctx is done.
func (c *child) run(ctx context.Context) error {
	runtime.LockOSThread() // the kernel's parent of the command is this thread: see stopWithParent
	defer runtime.UnlockOSThread()
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("starting Rails: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.command.Wait() }()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, forwardedSignals...)
	defer signal.Stop(signals)
	for {
		select {
		case err := <-exited:
			return c.exitError(err)
		case s := <-signals:
			c.log.Info("passed a signal on to Rails", "signal", s)
			c.command.Process.Signal(s)
		case <-ctx.Done():
			c.stop(ctx, exited)
			return nil
		}
	}
}

// exitError returns and logs the error for an exit that catenary did not ask for.
func (c *child) exitError(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	result := &childError{command: strings.Join(c.command.Args, " ")}
	exit := new(exec.ExitError)
	if errors.As(err, &exit) {
		result.status = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			result.status = 128 + int(status.Signal()) // as a shell would report it
		}
	} else if err != nil {
		return fmt.Errorf("waiting for Rails: %w", err)
	}
	c.log.Error("Rails exited, catenary stops", "command", result.command, "status", result.status)
	return result
}

// stop sends SIGTERM to Rails and its children, and SIGKILL when the grace expires.
func (c *child) stop(ctx context.Context, exited <-chan error) {
	syscall.Kill(-c.command.Process.Pid, syscall.SIGTERM)
	grace := leastGrace
	var end *stopped
	if errors.As(context.Cause(ctx), &end) {
		grace = max(grace, time.Until(end.deadline))
	}
	select {
	case <-exited:
	case <-time.After(grace):
		c.log.Warn("Rails did not stop, killing it", "after", grace)
		syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL)
		<-exited
	}
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

// variable returns the value of an environment variable, "" if it is not set.
func variable(environ []string, name string) (value string) {
	for _, entry := range environ {
		if v, found := strings.CutPrefix(entry, name+"="); found {
			value = v
		}
	}
	return value
}

// without returns the environment without some variables.
func without(environ []string, names ...string) []string {
	kept := make([]string, 0, len(environ)+2)
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		if !slices.Contains(names, name) {
			kept = append(kept, variable)
		}
	}
	return kept
}
