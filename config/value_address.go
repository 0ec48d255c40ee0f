package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// parseAddress reads host:port, :port, a port alone, or off, which gives "".
func parseAddress(t string) (string, error) {
	if t == "off" || t == "false" || t == "" {
		return "", nil
	}
	if !strings.Contains(t, ":") {
		t = ":" + t
	}
	_, port, err := net.SplitHostPort(t)
	n, invalid := strconv.Atoi(port)
	if err != nil || invalid != nil || n < 0 || n > 65535 {
		return "", fmt.Errorf("is not an address: write for example :8080 or 127.0.0.1:8080")
	}
	return t, nil
}

func checkHTTPURL(t string) error {
	u, err := url.Parse(t)
	switch {
	case err != nil:
	case u.User != nil:
		return fmt.Errorf("has a user in it: remove it, since calls are signed with the secret")
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		return nil
	case u.Scheme == "unix" && u.Path+u.Opaque != "":
		return nil
	}
	return fmt.Errorf("is not a valid URL: write for example http://127.0.0.1:3000 or unix:///run/puma.sock")
}

// checkKeysURL rejects a URL over which somebody could replace the keys.
func checkKeysURL(t string) error {
	u, err := url.Parse(t)
	if err == nil && u.User == nil && (u.Scheme == "https" && u.Hostname() != "" || u.Scheme == "http" && loopback(u.Hostname())) || t == "" {
		return nil
	}
	return fmt.Errorf("is not a safe URL for keys: write https://… without a user; http:// only on this machine")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkCollectorURL rejects a URL with a secret in it, because catenary prints the URL.
func checkCollectorURL(t string) error {
	u, err := url.Parse(t)
	if err == nil && u.User == nil && u.RawQuery == "" && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" || t == "" {
		return nil
	}
	return fmt.Errorf("is not a valid URL of a collector: write for example http://127.0.0.1:4318, without a user; " +
		"secrets belong in OTEL_EXPORTER_OTLP_HEADERS")
}

// checkRedisURL accepts what both redis-rb and go-redis accept. Its error quotes nothing of the
// URL, which may have a password in it.
func checkRedisURL(t string) error {
	u, err := url.Parse(t)
	if err != nil {
		return fmt.Errorf("is not a URL: write redis://user:password@host:6379/0, with %%XX for special characters of the password")
	}
	switch u.Scheme {
	case "unix":
		if u.Opaque+u.Path != "" {
			return nil
		}
		return fmt.Errorf("names no socket: write unix:///run/redis/redis.sock")
	case "redis", "rediss":
		if db := strings.Trim(u.Path, "/"); db != "" {
			if n, err := strconv.Atoi(db); err != nil || n < 0 {
				return fmt.Errorf("must end in the number of a database, as in redis://host:6379/0")
			}
		}
		return nil
	}
	return fmt.Errorf("must begin with redis://, rediss:// or unix://")
}

// withoutPassword returns a text in which "…" replaces the user and the query of a URL.
func withoutPassword(t string) string {
	u, err := url.Parse(t)
	if err != nil {
		if strings.ContainsAny(t, "@") {
			return "…"
		}
		return t
	}
	if u.User != nil {
		u.User = url.User("…")
	}
	if u.RawQuery != "" && u.Scheme != "" {
		u.RawQuery = "…"
	}
	if out, err := url.PathUnescape(u.String()); err == nil && u.Scheme != "" {
		return out
	}
	return t
}
