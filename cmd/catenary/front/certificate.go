package front

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

// certificate is the TLS certificate for browsers. It is reloaded when one of its files changes,
// because certificates are renewed every few weeks.
type certificate struct {
	files config.TLS
	log   *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	loaded  [2]os.FileInfo // of certificate and key, when they were last loaded
	checked time.Time
}

// Secure returns a listener that serves TLS if files names a certificate, else the listener itself.
// It offers only HTTP/1.1, which WebSockets need.
func Secure(listener net.Listener, files config.TLS, log *slog.Logger) (net.Listener, error) {
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

// get checks for changes at most once a second. Files that cannot be read, or that do not belong
// together yet, leave the old certificate in place.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Sub(c.checked) < time.Second {
		return c.current, nil
	}
	c.checked = now
	if !c.changed() {
		return c.current, nil
	}
	if err := c.load(); err != nil {
		c.log.Warn("failed to load the new certificate, keeping the old one", "error", err)
	} else {
		c.log.Info("certificate reloaded", "file", c.files.Certificate)
	}
	return c.current, nil
}

func (c *certificate) changed() bool {
	for i, file := range []string{c.files.Certificate, c.files.Key} {
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		loaded := c.loaded[i]
		if !info.ModTime().Equal(loaded.ModTime()) || info.Size() != loaded.Size() || !os.SameFile(info, loaded) {
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
		c.loaded[i] = info
	}
	pair, err := tls.LoadX509KeyPair(c.files.Certificate, c.files.Key)
	if err != nil {
		return fmt.Errorf("reading %s and %s: %w", c.files.Certificate, c.files.Key, err)
	}
	c.current = &pair
	return nil
}
