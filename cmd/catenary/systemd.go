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

// lentSockets returns the listeners of socket activation. The one named "operations"
// (FileDescriptorName=) is for probes, the other one, whatever its name, for browsers.
func lentSockets() (*sockets, error) {
	s := &sockets{}
	for _, file := range activation.Files(true) {
		listener, err := net.FileListener(file)
		file.Close()
		if err != nil {
			return s, fmt.Errorf("socket %s from systemd: %w: use ListenStream= with Accept=no", file.Name(), err)
		}
		slot := &s.browsers
		if file.Name() == "operations" {
			slot = &s.operations
		}
		if *slot != nil {
			listener.Close()
			return s, fmt.Errorf("systemd passes both %s and %s (%s), but catenary takes one socket for browsers "+
				"and one named operations: see FileDescriptorName=",
				(*slot).Addr(), listener.Addr(), file.Name())
		}
		*slot = listener
	}
	return s, nil
}

// service notifies systemd (Type=notify). Without systemd it does nothing.
type service struct {
	log   *slog.Logger
	ready *readiness
	alive func() // returns unless a part of catenary hangs
}

// run sends READY=1 when /ready answers 200 for the first time, what /ready says as STATUS=, and in
// time for WatchdogSec= a heartbeat.
func (s *service) run(ctx context.Context) error {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("WATCHDOG_USEC: %w", err)
	}
	started, status := false, ""
	tick := time.NewTicker(notifyInterval(watchdog))
	defer tick.Stop()
	for {
		var state string
		err := s.ready.Check()
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
		if state != "" && !s.notify(state) {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// stopping sends STOPPING=1.
func (s *service) stopping() { s.notify(daemon.SdNotifyStopping) }

// notify reports whether there is a systemd to notify.
func (s *service) notify(state string) bool {
	sent, err := daemon.SdNotify(false, state)
	if err != nil {
		s.log.Warn("failed to notify systemd", "error", err)
	}
	return sent || err != nil
}

// notifyInterval is how often run checks for changes.
func notifyInterval(watchdog time.Duration) time.Duration {
	const usual = 500 * time.Millisecond
	if watchdog > 0 {
		return min(usual, watchdog/3)
	}
	return usual
}
