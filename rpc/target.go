package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Path is where the gem answers, relative to the path of backend.url.
const Path = "/_catenary"

// dialWait is how long Rails may take to accept a connection, TLS included.
const dialWait = 5 * time.Second

// target is where Rails is: backend.url, parsed.
type target struct {
	network, address string
	tls              *tls.Config // nil: no TLS
	host             string      // of the Host header
	path             string      // with Path
}

// newTarget parses http://host:port/path, https://host or unix:/path/to/puma.sock.
func newTarget(backend string) (t target, err error) {
	u, err := url.Parse(backend)
	if err != nil {
		return t, fmt.Errorf("backend.url: %w", err)
	}
	path := strings.TrimRight(u.EscapedPath(), "/") + Path
	t = target{network: "tcp", address: u.Host, host: u.Host, path: path}
	port := "80"
	switch u.Scheme {
	case "http":
	case "https":
		port = "443"
		t.tls = &tls.Config{ServerName: u.Hostname()}
	case "unix":
		t.network = "unix"
		t.address = u.Path
		t.host = "localhost"
		t.path = Path
		if t.address == "" {
			return t, fmt.Errorf("backend.url: unix:%s has no path: write unix:/path/to/puma.sock", u.Opaque)
		}
		return t, nil
	default:
		return t, fmt.Errorf("backend.url: %q is not a valid http:, https: or unix: URL: "+
			"write for example http://127.0.0.1:3000", u.Redacted())
	}
	if u.Hostname() == "" {
		return t, fmt.Errorf("backend.url: %q has no host: write for example http://127.0.0.1:3000", u.Redacted())
	}
	if u.Port() == "" {
		t.address = net.JoinHostPort(u.Hostname(), port)
	}
	return t, nil
}

func (t *target) url() string {
	if t.tls != nil {
		return "https://" + t.host + t.path
	}
	return "http://" + t.host + t.path
}

// addresses returns all addresses of the backend's host, since there may be processes behind each.
// If the name cannot be resolved it returns the name, so that dial reports the error.
func (t *target) addresses(ctx context.Context) []string {
	host, port, err := net.SplitHostPort(t.address)
	if t.network == "unix" || err != nil {
		return []string{t.address}
	}
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{t.address}
	}
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) < 2 {
		return []string{t.address}
	}
	addresses := make([]string, len(ips))
	for i, ip := range ips {
		addresses[i] = net.JoinHostPort(ip.Unmap().String(), port)
	}
	return addresses
}

// dial connects to one of the addresses, with TLS if the URL says so. Its errors wrap ErrNotSent.
func (t *target) dial(ctx context.Context, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialWait)
	defer cancel()
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, t.network, address)
	if err == nil && t.tls != nil {
		secure := tls.Client(conn, t.tls)
		err = secure.HandshakeContext(ctx)
		if err != nil {
			conn.Close()
		}
		conn = secure
	}
	if err != nil {
		return nil, fmt.Errorf("connecting to Rails at %s: %w: %w", address, err, ErrNotSent)
	}
	return conn, nil
}

// private reports whether nobody else can read or write what conn carries, as far as this end can
// see.
func (t *target) private(conn net.Conn) bool {
	if t.tls != nil || t.network == "unix" {
		return true
	}
	address, ok := conn.RemoteAddr().(*net.TCPAddr)
	return ok && address.IP.IsLoopback()
}
