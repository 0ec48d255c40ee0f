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

// child is the command that starts Rails, "catenary -- bin/rails server". It
// gets a port of its own.
type child struct {
	command *exec.Cmd
	log     *slog.Logger
}

// leastGrace is what Rails is left with for its end, however much of the grace
// ours has taken.
const leastGrace = 5 * time.Second

// passedOn are signals that mean Rails alone. To Puma they are: read the logs'
// names anew, a phased restart, a restart. Browsers notice neither.
var passedOn = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// childError is a command that ended before we told it to.
type childError struct {
	command string
	status  int
}

func (e *childError) Error() string {
	return fmt.Sprintf("%s has ended with status %d", e.command, e.status)
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
		environ = append([]string{"BINDING=127.0.0.1"}, environ...) // which in production is 0.0.0.0 for "rails server"
	}
	environ = append(without(environ, append(systemdVariables, "PORT")...), "PORT="+u.Port())
	// both are ours to start: so they share one secret, which all nodes of the app have, or a fresh one
	secret := cfg.Backend.Secret
	if cfg.Backend.Secret = config.NewSecret(secret.Reveal(), secret.Source()); secret.Missing() {
		cfg.Backend.Secret = config.NewSecret(rand.Text(), "this start")
	}
	environ = append(without(environ, "CATENARY_SECRET"), "CATENARY_SECRET="+cfg.Backend.Secret.Reveal())
	c := exec.Command(command[0], command[1:]...)
	c.Env, c.Stdout, c.Stderr, c.Dir = environ, stderr, stderr, cfg.Root
	c.WaitDelay = leastGrace                            // for what it has started and what still writes
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for us to pass on, when the browsers have been told
	tieToUs(c.SysProcAttr)
	return &child{c, log}, nil
}

// checkCommand refuses Thruster as the command: it gives Rails a port of its own
// choice, and would serve browsers in catenary's place.
func checkCommand(command []string, cfg *config.Config) error {
	i := slices.IndexFunc(command, func(word string) bool { return filepath.Base(word) == "thrust" })
	if i < 0 || cfg.Given("backend.url") {
		return nil
	}
	rails := strings.Join(slices.Concat(command[:i], command[i+1:]), " ")
	return fmt.Errorf("Thruster stands behind catenary, and chooses Rails' port itself: put it in front: %s catenary -- %s", command[i], rails)
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
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)
	for {
		select {
		case err := <-ended:
			return c.hasEnded(err)
		case one := <-signals:
			c.log.Info("passed on to Rails", "signal", one)
			c.command.Process.Signal(one)
		case <-ctx.Done():
			c.stop(ctx, ended)
			return nil
		}
	}
}

// hasEnded is the error for an end that nobody has asked for.
func (c *child) hasEnded(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	end := &childError{command: strings.Join(c.command.Args, " ")}
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		end.status = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			end.status = 128 + int(status.Signal()) // as a shell would report it
		}
	} else if err != nil {
		return fmt.Errorf("waiting for Rails: %w", err)
	}
	c.log.Error("Rails has ended, and so catenary stops", "command", end.command, "status", end.status)
	return end
}

// stop tells Rails to end, and everything that it has started, and sees to it.
func (c *child) stop(ctx context.Context, ended <-chan error) {
	syscall.Kill(-c.command.Process.Pid, syscall.SIGTERM)
	grace := leastGrace
	if end := (*stopped)(nil); errors.As(context.Cause(ctx), &end) {
		grace = max(grace, time.Until(end.by))
	}
	select {
	case <-ended:
	case <-time.After(grace):
		c.log.Warn("Rails does not end, and is killed", "after", grace)
		syscall.Kill(-c.command.Process.Pid, syscall.SIGKILL)
		<-ended
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

// variable returns the value of an environment variable, "" if there is none.
func variable(environ []string, name string) (value string) {
	for _, one := range environ {
		if rest, ok := strings.CutPrefix(one, name+"="); ok {
			value = rest
		}
	}
	return value
}

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
