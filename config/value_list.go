package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/catenary-cable/catenary/config/yml"
	"go.yaml.in/yaml/v3"
)

// parseList reads [a, b], or "a, b" as variables and flags have it.
func parseList(n *yaml.Node) ([]string, error) {
	var items []string
	switch {
	case n.Kind == yaml.ScalarNode:
		items = strings.Split(n.Value, ",")
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("must be a list of strings, without a %s in it", yml.Shape(item))
			}
			items = append(items, item.Value)
		}
	default:
		return nil, fmt.Errorf("must be a list, not a %s: write [a, b] or \"a, b\"", yml.Shape(n))
	}
	var out []string
	for _, item := range items {
		item = strings.TrimSpace(item)
		if item != "" {
			out = append(out, item)
		}
	}
	return out, nil
}

// allChannels, in place of channels, passes whole connections to the application.
const allChannels = "all"

var channelClass = regexp.MustCompile(`^(::)?[A-Z]\w*(::[A-Z]\w*)*$`)

// parseChannels reads a list of classes of channels, or all.
func parseChannels(n *yaml.Node) ([]string, error) {
	names, err := parseList(n)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch {
		case name == allChannels && len(names) > 1:
			return nil, fmt.Errorf("has both all and single channels: write one or the other")
		case name != allChannels && !channelClass.MatchString(name):
			return nil, fmt.Errorf("%q is not a channel: write its class, for example GraphqlChannel, or all", name)
		}
	}
	return names, nil
}

// parseSentinels reads redis-rb's list of {host, port, username, password}.
func parseSentinels(n *yaml.Node) ([]map[string]any, error) {
	if n.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("must be a list, not a %s: write [{host: 10.0.0.1, port: 26379}]", yml.Shape(n))
	}
	var out []map[string]any
	for _, item := range n.Content {
		if item.Kind != yaml.MappingNode {
			return nil, fmt.Errorf("must be a list of mappings: write [{host: 10.0.0.1, port: 26379}]")
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
					return nil, fmt.Errorf("has an invalid port: write a number from 1 to 65535")
				}
				sentinel[key] = port
			default:
				return nil, fmt.Errorf("has an unknown key %q: write host, port, username and password only", key)
			}
		}
		if sentinel["host"] == nil || sentinel["host"] == "" {
			return nil, fmt.Errorf("has a sentinel without a host: add it")
		}
		out = append(out, sentinel)
	}
	return out, nil
}
