package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/catenary-cable/catenary/config"
	"golang.org/x/term"
)

// On a terminal, catenary prints last what a developer should open, and hides the address of Puma,
// which would bypass catenary.

// onTerminal reports whether a writer is a terminal.
func onTerminal(to io.Writer) bool {
	file, ok := to.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// welcome prints the address to open when catenary is ready.
func welcome(ctx context.Context, cfg *config.Config, ready *readiness, to io.Writer) {
	for ready.Check() != nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	fmt.Fprint(to, welcomeText(cfg))
}

func welcomeText(cfg *config.Config) string {
	label, scheme, path := "Open", "http", ""
	if !cfg.Proxy {
		label, scheme, path = "Ready for browsers at", "ws", cfg.Paths[0]
	}
	if cfg.TLS.Certificate != "" {
		scheme += "s"
	}
	text := fmt.Sprintf("\n  %s %s://%s%s\n", label, scheme, localAddress(cfg.Listen), path)
	if cfg.Operations.Listen != "" && cfg.Operations.Status {
		text += fmt.Sprintf("  Status: http://%s\n", localAddress(cfg.Operations.Listen))
	}
	return text + "\n"
}

// localAddress returns the address at which a browser on this machine reaches a listener.
func localAddress(listen string) string {
	host, port, err := net.SplitHostPort(onThisMachine(listen))
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsLoopback() {
		return net.JoinHostPort("localhost", port)
	}
	return listen
}
