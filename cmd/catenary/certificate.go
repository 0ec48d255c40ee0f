package main

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/catenary-cable/catenary/config"
)

// certificate is what browsers are served TLS with. It is read again when one of
// its files has changed, since certificates are renewed every few weeks.
type certificate struct {
	files config.TLS
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]os.FileInfo // the files as they were read last
	looked  time.Time
}

// secure serves TLS on a listener if there is a certificate. WebSockets need
// HTTP/1.1, so that is all that is offered.
func secure(listener net.Listener, files config.TLS, log *slog.Logger) (net.Listener, error) {
	if files.Certificate == "" {
		return listener, nil
	}
	c := &certificate{files: files, log: log}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: c.get,
	}), nil
}

// get looks for changes at most once a second. Files that cannot be read, or do
// not belong together yet, leave the old certificate in place.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= time.Second {
		c.looked = now
		if c.changed() {
			if err := c.load(); err != nil {
				c.log.Warn("the new certificate cannot be used, the old one stays", "error", err)
			} else {
				c.log.Info("the new certificate is used", "file", c.files.Certificate)
			}
		}
	}
	return c.current, nil
}

func (c *certificate) changed() bool {
	for i, file := range []string{c.files.Certificate, c.files.Key} {
		info, err := os.Stat(file)
		if err == nil && (!info.ModTime().Equal(c.read[i].ModTime()) || info.Size() != c.read[i].Size() || !os.SameFile(info, c.read[i])) {
			return true
		}
	}
	return false
}

func (c *certificate) load() error {
	for i, file := range []string{c.files.Certificate, c.files.Key} {
		info, err := os.Stat(file)
		if err != nil {
			return fmt.Errorf("reading the certificate: %w", err)
		}
		c.read[i] = info
	}
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("reading %s and %s: %w", c.files.Certificate, c.files.Key, err)
	}
	c.current = &pair
	return nil
}
