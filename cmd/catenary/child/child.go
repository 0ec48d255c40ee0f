package child

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
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/catenary-cable/catenary/config"
)

// Child is a command that starts Rails.
type Child struct {
	command *exec.Cmd
	output  *output // reads what the command writes; nil: the command writes without a detour
	log     *slog.Logger
}

// Options describe the command.
type Options struct {
	Command     []string
	Config      *config.Config // New sets the address and the secret of the backend
	Environ     []string
	Output      io.Writer
	HideAddress bool // leave out the line in which Puma prints the address that only catenary should use
	Log         *slog.Logger
}

// MinGrace is how long Rails may take to stop, even if catenary has used up the shutdown grace.
const MinGrace = 5 * time.Second

// forwardedSignals are passed on to Rails. Puma reopens its logs, restarts its workers in phases,
// or restarts. Browsers notice none of it.
var forwardedSignals = []os.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2}

// systemdVariables are meant for catenary itself.
var systemdVariables = []string{
	"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
}

// Error means that the command exited although catenary was not stopping.
type Error struct {
	Command string
	Status  int // 128 and the signal's number if a signal killed it
}

func (e *Error) Error() string { return fmt.Sprintf("%s exited with status %d", e.Command, e.Status) }

// New prepares the command; Run starts it. Unless backend.url is set, it gets a free port.
func New(o Options) (*Child, error) {
	cfg, environ := o.Config, o.Environ
	child := &Child{log: o.Log}
	var out io.Writer = o.Output
	if err := checkCommand(o.Command, cfg); err != nil {
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
		if o.HideAddress {
			child.output = &output{address: u.Host, to: o.Output}
			out = child.output
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
	c := exec.Command(o.Command[0], o.Command[1:]...)
	c.Env, c.Dir = environ, cfg.Root
	c.Stdout, c.Stderr = out, out
	c.WaitDelay = MinGrace // for its children that still write
	// A process group of its own: Ctrl-C must reach Rails only after catenary has notified
	// browsers.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stopWithParent(c.SysProcAttr)
	child.command = c
	return child, nil
}

// checkCommand rejects commands that choose Rails' port themselves, as Thruster does, which would
// serve browsers in catenary's place.
func checkCommand(command []string, cfg *config.Config) error {
	if cfg.Given("backend.url") {
		return nil
	}
	if i := indexProgram(command, "thrust"); i >= 0 {
		rails := strings.Join(slices.Concat(command[:i], command[i+1:]), " ")
		return fmt.Errorf("Thruster cannot run behind catenary, because it chooses Rails' port itself: "+
			"put it in front: %s catenary -- %s", command[i], rails)
	}
	if i := indexProgram(command, "rails", "puma"); i >= 0 {
		if option := portOption.FindStringSubmatch(strings.Join(command[i:], " ")); option != nil {
			return fmt.Errorf("catenary chooses Rails' port, and listens itself where browsers connect: "+
				"remove %s from Rails' command, and start catenary with --listen :%s or PORT=%[2]s",
				option[1], option[2])
		}
	}
	return nil
}

var portOption = regexp.MustCompile(` ((?:-p|--port)[ =]?(\d+))(?: |$)`)

// indexProgram returns the index of the first word that is one of these programs, or -1.
func indexProgram(command []string, names ...string) int {
	return slices.IndexFunc(command, func(word string) bool {
		return slices.Contains(names, filepath.Base(word))
	})
}

// Run starts the command and waits until it exits. It stops the command when ctx is done.
func (c *Child) Run(ctx context.Context) error {
	runtime.LockOSThread() // the kernel's parent of the command is this thread: see stopWithParent
	defer runtime.UnlockOSThread()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, forwardedSignals...) // first: until then such a signal would end catenary
	defer signal.Stop(signals)
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("starting Rails: %w", err)
	}
	exited := make(chan error, 1)
	go func() { exited <- c.command.Wait() }()
	checking, cancel := context.WithCancel(ctx)
	defer cancel()
	go c.checkAddress(checking)
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

// checkAddress warns once if Rails writes that it listens on another port than the one that it was
// given. It ends when Rails listens there.
func (c *Child) checkAddress(ctx context.Context) {
	if c.output == nil {
		return
	}
	for {
		elsewhere := c.output.elsewhere.Load()
		select {
		case <-ctx.Done():
			return
		case <-time.After(500 * time.Millisecond): // Puma may open several ports
		}
		if conn, err := net.DialTimeout("tcp", c.output.address, time.Second); err == nil {
			conn.Close()
			return
		}
		if elsewhere != nil {
			c.log.Warn("Rails listens on another port than the one that catenary gave it: "+PortAdvice,
				"rails", *elsewhere, "given", c.output.address)
			return
		}
	}
}

// PortAdvice says what to do if Rails does not listen where catenary expects it.
const PortAdvice = "remove -p and the like from its command, and have config/puma.rb use PORT, " +
	"or set backend.url to where it listens"

// exitError returns and logs the error for an exit that catenary did not ask for.
func (c *Child) exitError(err error) error {
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	result := &Error{Command: strings.Join(c.command.Args, " ")}
	exit := new(exec.ExitError)
	if errors.As(err, &exit) {
		result.Status = exit.ExitCode()
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			result.Status = 128 + int(status.Signal()) // as a shell would report it
		}
	} else if err != nil {
		return fmt.Errorf("waiting for Rails: %w", err)
	}
	c.log.Error("Rails exited, catenary stops", "command", result.Command, "status", result.Status)
	return result
}

// stop sends SIGTERM to Rails and its children, and SIGKILL after MinGrace, or at the deadline of
// ctx' cause if that is later.
func (c *Child) stop(ctx context.Context, exited <-chan error) {
	syscall.Kill(-c.command.Process.Pid, syscall.SIGTERM)
	grace := MinGrace
	var stop interface{ Deadline() time.Time }
	if errors.As(context.Cause(ctx), &stop) {
		grace = max(grace, time.Until(stop.Deadline()))
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
