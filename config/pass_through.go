package config

import (
	"fmt"
	"regexp"
	"slices"

	"go.yaml.in/yaml/v3"
)

// all in place of channels leaves whole connections to the application.
const all = "all"

// PassesAll tells that whole connections are relayed to the application's own
// Action Cable: then there need be no gem, no secret and no Redis.
func (c *Config) PassesAll() bool { return slices.Contains(c.PassThrough, all) }

var channelClass = regexp.MustCompile(`^(::)?[A-Z]\w*(::[A-Z]\w*)*$`)

// parseChannels takes a list of classes, or all.
func parseChannels(n *yaml.Node) ([]string, error) {
	names, err := parseList(n)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		switch {
		case name == all && len(names) > 1:
			return nil, fmt.Errorf("names all and channels beside it: write one or the other")
		case name != all && !channelClass.MatchString(name):
			return nil, fmt.Errorf("has %q, which is no channel: write its class, for example GraphqlChannel, or all", name)
		}
	}
	return names, nil
}
