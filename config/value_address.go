package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// parseAddress takes host:port, :port, a port alone, or off.
func parseAddress(t string) (string, error) {
	if t == "off" || t == "false" || t == "" {
		return "", nil
	}
	if !strings.Contains(t, ":") {
		t = ":" + t
	}
	_, port, err := net.SplitHostPort(t)
	if err == nil {
		var n int
		if n, err = strconv.Atoi(port); err == nil && (n < 0 || n > 65535) {
			err = fmt.Errorf("out of range")
		}
	}
	if err != nil {
		return "", fmt.Errorf("is not an address: write for example :8080 or 127.0.0.1:8080")
	}
	return t, nil
}

func checkHTTPURL(t string) error {
	u, err := url.Parse(t)
	switch {
	case err != nil:
	case u.User != nil:
		return fmt.Errorf("names a user: leave it out, calls are signed with the secret")
	case (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
		return nil
	case u.Scheme == "unix" && u.Path+u.Opaque != "":
		return nil
	}
	return fmt.Errorf("is not the URL of a backend: write for example http://127.0.0.1:3000 or unix:///run/puma.sock")
}

// checkKeysURL refuses a way on which keys could be exchanged.
func checkKeysURL(t string) error {
	u, err := url.Parse(t)
	if err == nil && u.User == nil && (u.Scheme == "https" && u.Hostname() != "" || u.Scheme == "http" && loopback(u.Hostname())) || t == "" {
		return nil
	}
	return fmt.Errorf("is not the URL of keys: write https://…, or http:// on this machine, without a user")
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// checkCollectorURL refuses what would be a secret: catenary prints the URL.
func checkCollectorURL(t string) error {
	u, err := url.Parse(t)
	if err == nil && u.User == nil && u.RawQuery == "" && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" || t == "" {
		return nil
	}
	return fmt.Errorf("is not the URL of a collector: write for example http://127.0.0.1:4318, without a user; secrets stand in OTEL_EXPORTER_OTLP_HEADERS")
}
