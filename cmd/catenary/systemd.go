package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// systemdVariables are for the process that systemd has started, and not for a
// command that this one starts.
var systemdVariables = []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"}

// lentSockets are those of socket activation. The one called "operations"
// (FileDescriptorName=) is for probes, the other one for browsers, whatever its name.
func lentSockets() (*sockets, error) {
	s := &sockets{}
	for _, file := range activation.Files(true) {
		listener, err := net.FileListener(file)
		file.Close()
		if err != nil {
			return s, fmt.Errorf("socket %s, as systemd passes it: %w: catenary takes ListenStream= with Accept=no", file.Name(), err)
		}
		place := &s.browsers
		if file.Name() == "operations" {
			place = &s.operations
		}
		if *place != nil {
			listener.Close()
			return s, fmt.Errorf("systemd passes both %s and %s (%s), where catenary takes one for browsers and one called operations: see FileDescriptorName=",
				(*place).Addr(), listener.Addr(), file.Name())
		}
		*place = listener
	}
	return s, nil
}

// service is what systemd is told of us (Type=notify). Without systemd it does nothing.
type service struct {
	log   *slog.Logger
	ready *readiness
	alive func() // returns unless a part of us hangs
}

// run says once that we are ready, which is when /ready first does; then in
// its status what /ready says; and in time for the watchdog that we are alive.
func (s *service) run(ctx context.Context) error {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("WATCHDOG_USEC: %w", err)
	}
	started, status := false, ""
	tick := time.NewTicker(pulse(watchdog))
	defer tick.Stop()
	for {
		var state string
		err := s.ready.check()
		now := "ready"
		if err != nil {
			now = "not ready: " + strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		if err == nil && !started {
			started, state = true, daemon.SdNotifyReady+"\n"
		}
		if now != status {
			status, state = now, state+"STATUS="+now+"\n"
		}
		if watchdog > 0 {
			s.alive()
			state += daemon.SdNotifyWatchdog + "\n"
		}
		if state != "" && !s.tell(state) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// stopping is said at the beginning of a stop.
func (s *service) stopping() { s.tell(daemon.SdNotifyStopping) }

// tell reports whether there is a systemd to be told.
func (s *service) tell(state string) bool {
	told, err := daemon.SdNotify(false, state)
	if err != nil {
		s.log.Warn("systemd cannot be told how catenary is", "error", err)
	}
	return told || err != nil
}

// pulse is how often systemd is told.
func pulse(watchdog time.Duration) time.Duration {
	const usual = 500 * time.Millisecond
	if watchdog > 0 {
		return min(usual, watchdog/3)
	}
	return usual
}
