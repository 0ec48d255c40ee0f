package rpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"time"
)

// dialer makes wires to Rails.
type dialer struct {
	network, address string
	tls              *tls.Config // nil: plain
	host             string      // for the Host header
}

// dialWait is how long Rails may take to accept a connection.
const dialWait = 5 * time.Second

// newDialer reads a backend's URL: http://host:port, https://host or
// unix:/path/to/puma.sock.
func newDialer(backend string) (d dialer, err error) {
	u, err := url.Parse(backend)
	if err != nil {
		return d, fmt.Errorf("backend.url: %w", err)
	}
	d = dialer{network: "tcp", address: u.Host, host: u.Host}
	port := "80"
	switch u.Scheme {
	case "http":
	case "https":
		port, d.tls = "443", &tls.Config{ServerName: u.Hostname()}
	case "unix":
		d.network, d.address, d.host = "unix", u.Path, "localhost"
		if d.address == "" {
			return d, fmt.Errorf("backend.url: unix:%s names no socket: write unix:/path/to/puma.sock", u.Opaque)
		}
		return d, nil
	default:
		return d, fmt.Errorf("backend.url: %q is no http:, https: or unix: address: write for example http://127.0.0.1:3000", u.Redacted())
	}
	if u.Hostname() == "" {
		return d, fmt.Errorf("backend.url: %q names no host: write for example http://127.0.0.1:3000", u.Redacted())
	}
	if u.Port() == "" {
		d.address = net.JoinHostPort(u.Hostname(), port)
	}
	return d, nil
}

func (d *dialer) dial() (*wire, error) {
	ctx, cancel := context.WithTimeout(context.Background(), dialWait)
	defer cancel()
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, d.network, d.address)
	if err == nil && d.tls != nil {
		secure := tls.Client(conn, d.tls)
		if err = secure.HandshakeContext(ctx); err != nil {
			conn.Close()
		}
		conn = secure
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to Rails at %s: %w: %w", d.address, err, ErrNotSent)
	}
	return &wire{Conn: conn, reader: bufio.NewReaderSize(conn, 4096)}, nil
}
