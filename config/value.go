package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/catenary-cable/catenary/config/yml"
	"go.yaml.in/yaml/v3"
)

// kind is what a setting's text means.
type kind int

const (
	text kind = iota
	boolean
	integer
	duration
	size
	list
	channels
	identities
	address
	httpURL
	redisURL
	keysURL
	collectorURL
	prefix
	verifyMode
	sentinels
)

// parse turns a YAML value into the type that Config has. Its errors quote the value only if the
// setting cannot hold a secret.
func (s setting) parse(n *yaml.Node) (any, error) {
	switch {
	case s.kind == list:
		return parseList(n)
	case s.kind == channels:
		return parseChannels(n)
	case s.kind == identities:
		return parseIdentities(n)
	case s.kind == sentinels:
		return parseSentinels(n)
	case n.Kind != yaml.ScalarNode:
		return nil, fmt.Errorf("must be one value, not a %s", yml.Shape(n))
	case yml.IsNull(n) && s.kind == prefix:
		return (*string)(nil), nil
	}
	if other := rubyReadsOther(n); other != "" && s.kind != boolean {
		return nil, fmt.Errorf("Ruby reads this as %s: put it in quotes", other)
	}
	value := n.Value
	if s.kind != text && s.kind != prefix {
		value = strings.TrimSpace(value)
	}
	v, err := s.parseText(value)
	if err != nil && !s.secret {
		err = fmt.Errorf("%q %w", withoutPassword(n.Value), err)
	}
	return v, err
}

func (s setting) parseText(t string) (any, error) {
	switch s.kind {
	case boolean:
		return parseBool(t)
	case integer:
		n, err := strconv.Atoi(t)
		if err != nil {
			return nil, fmt.Errorf("is not a whole number: write digits only")
		}
		return n, s.within(int64(n), func(n int64) string { return strconv.FormatInt(n, 10) })
	case duration:
		d, err := parseDuration(t)
		if err != nil {
			return nil, err
		}
		return d, s.within(int64(d), func(n int64) string { return time.Duration(n).String() })
	case size:
		n, err := parseSize(t)
		if err != nil {
			return nil, err
		}
		return n, s.within(n, formatSize)
	case address:
		return parseAddress(t)
	case httpURL:
		return t, checkHTTPURL(t)
	case keysURL:
		return t, checkKeysURL(t)
	case collectorURL:
		return t, checkCollectorURL(t)
	case redisURL:
		return t, checkRedisURL(t)
	case prefix:
		return &t, nil
	case verifyMode: // cable.yml has OpenSSL's numbers
		switch t {
		case "0":
			t = "none"
		case "1":
			t = "peer"
		}
	}
	if s.choices != nil && !slices.Contains(s.choices, t) {
		return nil, fmt.Errorf("is not a valid value: write %s", strings.Join(s.choices, " or "))
	}
	return t, nil
}

// within checks a number against the setting's min and max.
func (s setting) within(n int64, format func(int64) string) error {
	switch {
	case n < s.min:
		if s.min == 1 {
			return fmt.Errorf("must be greater than zero")
		}
		return fmt.Errorf("is too small: write at least %s", format(s.min))
	case s.max != 0 && n > s.max:
		return fmt.Errorf("is too large: write at most %s", format(s.max))
	}
	return nil
}

func parseBool(t string) (bool, error) {
	switch strings.ToLower(t) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, fmt.Errorf("is not a boolean: write true or false")
}

// parseDuration reads Go's durations and, as Ruby has them, seconds.
func parseDuration(t string) (time.Duration, error) {
	if seconds, err := strconv.ParseFloat(t, 64); err == nil && seconds >= 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second)), nil
	}
	d, err := time.ParseDuration(t)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("is not a duration: write for example 500ms, 30s or 5m")
	}
	return d, nil
}

var sizePattern = regexp.MustCompile(`^([0-9]{1,15})\s*(|B|[KMG]i?B)$`)

// parseSize reads a number of bytes, with or without a unit. KB is 1000 bytes, KiB is 1024.
func parseSize(t string) (int64, error) {
	m := sizePattern.FindStringSubmatch(t)
	if m == nil {
		return 0, fmt.Errorf("is not a size: write for example 65536, 64KB or 1MiB")
	}
	n, err := strconv.ParseInt(m[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("is not a size: %w", err)
	}
	unit := map[string]int64{"": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}[m[2]]
	if n > 1<<40/unit {
		return 0, fmt.Errorf("is too large for a size")
	}
	return n * unit, nil
}

// formatSize writes a size in the largest unit that divides it.
func formatSize(n int64) string {
	for _, u := range []struct {
		name string
		n    int64
	}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}} {
		if n >= u.n && n%u.n == 0 {
			return strconv.FormatInt(n/u.n, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
