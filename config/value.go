package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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

// parse turns what was written into the type that Config has. Its errors quote
// the text only if the setting cannot hold a secret.
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
		return nil, fmt.Errorf("must be one value, not a %s", shape(n))
	case isNull(n) && s.kind == prefix:
		return (*string)(nil), nil
	}
	if trap := rubyReads(n); trap != "" && !(s.kind == boolean) {
		return nil, fmt.Errorf("%s: put it in quotes", trap)
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
	case verifyMode: // OpenSSL's numbers, as cable.yml has them
		switch t {
		case "0":
			t = "none"
		case "1":
			t = "peer"
		}
	}
	if s.choices != nil && !slices.Contains(s.choices, t) {
		return nil, fmt.Errorf("is not known: write %s", strings.Join(s.choices, " or "))
	}
	return t, nil
}

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
	return false, fmt.Errorf("is neither true nor false: write one of them")
}

// parseDuration takes Go's durations, and seconds where Ruby has numbers.
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

// parseSize takes 1MiB, 64KB or a number of bytes. KB is 1000 bytes, KiB is 1024.
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

func parseList(n *yaml.Node) ([]string, error) {
	var items []string
	switch {
	case n.Kind == yaml.ScalarNode:
		items = strings.Split(n.Value, ",")
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("must be a list of texts, with no %s in it", shape(item))
			}
			items = append(items, item.Value)
		}
	default:
		return nil, fmt.Errorf("must be a list, not a %s: write [a, b] or \"a, b\"", shape(n))
	}
	var out []string
	for _, item := range items {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out, nil
}

// parseSentinels takes redis-rb's list of {host, port, username, password}.
func parseSentinels(n *yaml.Node) ([]map[string]any, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("must be a list of host and port, not a %s", shape(n))
	}
	var out []map[string]any
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("must be a list whose items have host and port")
		}
		sentinel := map[string]any{"port": 26379}
		for i := 0; i+1 < len(item.Content); i += 2 {
			key, value := item.Content[i].Value, item.Content[i+1]
			switch key {
			case "host", "username", "password":
				sentinel[key] = value.Value
			case "port":
				port, err := strconv.Atoi(value.Value)
				if err != nil || port < 1 || port > 65535 {
					return nil, fmt.Errorf("has a port that is not a number up to 65535")
				}
				sentinel[key] = port
			default:
				return nil, fmt.Errorf("has an unknown key %q: only host, port, username and password are known", key)
			}
		}
		if sentinel["host"] == nil || sentinel["host"] == "" {
			return nil, fmt.Errorf("has an item without host")
		}
		out = append(out, sentinel)
	}
	return out, nil
}

func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.SequenceNode:
		return "list"
	case yaml.MappingNode:
		return "mapping"
	}
	return "single value"
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }
