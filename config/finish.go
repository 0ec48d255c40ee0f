package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// This file checks values that depend on each other, after all layers are merged, and works out the
// defaults that depend on other values. Load calls it from top to bottom.

// finishListen binds a server in development to the loopback address, as "rails server" does,
// unless a host is given.
func (l *loading) finishListen() {
	host, port, err := net.SplitHostPort(l.Listen)
	portOnly := slices.Contains([]string{"", "PORT", "CATENARY_PORT"}, l.origins["listen"])
	if l.Environment == "development" && portOnly && host == "" && err == nil {
		l.Listen = net.JoinHostPort(cmp.Or(l.environ.variables["BINDING"], "127.0.0.1"), port)
	}
}

// checkPlaces rejects a root that is not a directory and paths that no browser can open.
func (l *loading) checkPlaces() error {
	if info, err := os.Stat(l.Root); err != nil || !info.IsDir() {
		return l.mistake("root", fmt.Errorf("%q is not a directory: name the one that has config/ in it", l.Root))
	}
	for _, path := range l.Paths {
		if !strings.HasPrefix(path, "/") {
			return l.mistake("paths", fmt.Errorf("%q must begin with a slash: write %q", path, "/"+path))
		}
	}
	if len(l.Paths) == 0 {
		return l.mistake("paths", errors.New("is empty: write at least /cable"))
	}
	return nil
}

// finishBackend works out concurrency and secret.
func (l *loading) finishBackend() error {
	threads, err := l.environ.threads()
	if err != nil {
		return err
	}
	switch _, given := l.origins["backend.concurrency"]; {
	case given && l.Backend.Concurrency > 0: // set, or reported by the gem, which counts all of Puma's threads
	case threads > 0:
		l.Backend.Concurrency, l.origins["backend.concurrency"] = max(threads-1, 1), threadsOfEnvironment
	case l.Backend.Concurrency == 0:
		l.Backend.Concurrency = 2 // Puma has three threads by default
	}
	if l.Backend.Restart == "reconnect" && l.Backend.Transport == "post" {
		l.note(l.mistake("backend.restart", errors.New(
			"reconnect needs links, because a POST does not show which Rails process answers: "+
				"set backend.transport to auto or link, or backend.restart to keep")))
	}
	l.Backend.Secret = l.secret("backend.secret")
	if l.Backend.Secret.Missing() {
		l.Backend.Secret = l.secretKeyBase()
	}
	return nil
}

// finishTLS resolves the paths of the certificate and its key.
func (l *loading) finishTLS() error {
	l.TLS.Certificate, l.TLS.Key = l.below(l.TLS.Certificate), l.below(l.TLS.Key)
	switch {
	case l.TLS.Certificate == "" && l.TLS.Key != "":
		return l.mistake("tls.key", errors.New("tls.certificate is missing: set both or neither"))
	case l.TLS.Certificate != "" && l.TLS.Key == "":
		return l.mistake("tls.certificate", errors.New("tls.key is missing: set both or neither"))
	}
	return nil
}

// below is the path of a file that the configuration names relative to the root.
func (l *loading) below(file string) string {
	if file == "" || filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(l.Root, filepath.FromSlash(file))
}

// finishTurbo finds the key that verifies signed stream names.
func (l *loading) finishTurbo() error {
	l.Turbo.Key = l.secret("turbo.signed_stream_verifier_key")
	relayed := l.PassesAll() || slices.Contains(l.PassThrough, "Turbo::StreamsChannel")
	if l.Turbo.CatchUp == "refresh" && relayed {
		return l.mistake("turbo.catch_up", errors.New(
			"has no effect with pass_through, where the app's own Action Cable answers: remove one of them"))
	}
	if !l.Turbo.VerifyStreams {
		return nil
	}
	l.Turbo.SecretKeyBase = l.secretKeyBase()
	switch {
	case l.PassesAll():
		return l.mistake("turbo.verify_streams", errors.New(
			"has no effect with pass_through: all, where the app's own channel answers: remove one of them"))
	case l.Turbo.Key.Missing() && l.Turbo.SecretKeyBase.Missing():
		return l.mistake("turbo.verify_streams", errors.New(
			"needs a key: "+l.Turbo.SecretKeyBase.source+"; set SECRET_KEY_BASE or turbo.signed_stream_verifier_key"))
	}
	return nil
}

// finishShutdown fits the parts of the grace into it.
func (l *loading) finishShutdown() error {
	s := &l.Shutdown
	left := s.Grace - s.Delay
	if s.Delay > 0 && left <= 0 {
		return l.mistake("shutdown.delay", fmt.Errorf("%v leaves nothing of the grace of %v: raise shutdown.grace", s.Delay, s.Grace))
	}
	if !l.Given("shutdown.drain") {
		s.Drain = min(s.Drain, left*3/5)
	}
	if s.Drain > left {
		return l.mistake("shutdown.drain", fmt.Errorf("%v is longer than the %v that are left of the grace: raise shutdown.grace", s.Drain, left))
	}
	return nil
}

// shortestLease leaves time for a renewal that fails, and for a busy machine.
const shortestLease = 3 * time.Second

func (l *loading) checkNodes() error {
	if l.Nodes.Lease != 0 && l.Nodes.Lease < shortestLease {
		return l.mistake("nodes.lease", errors.New("is too short: other nodes would take a busy node for dead; write at least 3s, or 0 for no lease"))
	}
	return nil
}

// leastMemory is twice what catenary needs for itself.
const leastMemory = 64 << 20

func (l *loading) checkMemory() error {
	if l.Limits.Memory != 0 && l.Limits.Memory < leastMemory {
		return l.mistake("limits.memory", errors.New("is too small: write at least 64MiB, or 0 for what the control group allows"))
	}
	return nil
}
