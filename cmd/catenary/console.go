package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/catenary-cable/catenary/config"
	"golang.org/x/term"
)

// A start on a terminal is somebody's who wants to see a page: what matters is
// said last, and what would mislead is not said.

// onTerminal reports whether people read what is written.
func onTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// welcome waits until catenary is ready, and says where to look.
func welcome(ctx context.Context, cfg *config.Config, ready *readiness, to io.Writer) {
	for ready.check() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Fprint(to, welcomeText(cfg))
}

func welcomeText(cfg *config.Config) string {
	scheme, open := "http", "Open"
	path := ""
	if !cfg.Proxy {
		scheme, open, path = "ws", "Ready for browsers at", cfg.Paths[0]
	}
	if cfg.TLS.Certificate != "" {
		scheme += "s"
	}
	text := fmt.Sprintf("\n  %s %s://%s%s\n", open, scheme, asBrowsersCallIt(cfg.Listen), path)
	if cfg.Operations.Listen != "" && cfg.Operations.Status {
		text += fmt.Sprintf("  How it is doing: http://%s\n", asBrowsersCallIt(cfg.Operations.Listen))
	}
	return text + "\n"
}

// asBrowsersCallIt is the name under which a browser on this machine reaches a
// listener.
func asBrowsersCallIt(listen string) string {
	host, port, err := net.SplitHostPort(onThisMachine(listen))
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsLoopback() {
		return net.JoinHostPort("localhost", port)
	}
	return listen
}

// withoutAddress passes on lines, except those in which Puma says that it
// listens at an address that is ours alone: who opens it has no catenary. Puma
// writes such a line at once.
type withoutAddress struct {
	address string
	to      io.Writer
}

func (w *withoutAddress) Write(p []byte) (int, error) {
	shown := make([]byte, 0, len(p))
	for line := range bytes.Lines(p) {
		if !bytes.Contains(line, []byte("Listening on")) || !bytes.Contains(line, []byte(w.address)) {
			shown = append(shown, line...)
		}
	}
	if _, err := w.to.Write(shown); err != nil {
		return 0, err
	}
	return len(p), nil
}
