package config

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"go.yaml.in/yaml/v3"
)

// Redacted is the effective configuration as YAML, without secrets. A comment on each line names
// the place of its value.
func (c *Config) Redacted() (string, error) {
	values := map[string]any{}
	if err := mapstructure.Decode(c, &values); err != nil {
		return "", fmt.Errorf("config: print: %w", err)
	}
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range settings() {
		group, parts := root, strings.Split(s.key, ".")
		for _, part := range parts[:len(parts)-1] {
			group = child(group, part)
		}
		name := parts[len(parts)-1]
		value := &yaml.Node{}
		if err := value.Encode(c.printable(s, values)); err != nil {
			return "", fmt.Errorf("config: print %s: %w", s.key, err)
		}
		if value.Kind == yaml.SequenceNode {
			value.Style = yaml.FlowStyle // one line, so that there is one comment
		}
		value.LineComment = "# " + cmp.Or(c.origins[s.key], "default")
		group.Content = append(group.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, value)
	}
	out, err := yaml.Marshal(root)
	return string(out), err
}

// String is Redacted, so that %v prints no secret.
func (c *Config) String() string {
	out, err := c.Redacted()
	if err != nil {
		return err.Error()
	}
	return out
}

// printable is a setting's effective value, as it would stand in catenary.yml.
func (c *Config) printable(s setting, values map[string]any) any {
	switch s.key {
	case "backend.secret":
		return c.Backend.Secret.String()
	case "jwt.secret":
		return c.JWT.Secret.String()
	case "turbo.signed_stream_verifier_key":
		return c.Turbo.Key.String()
	case "jwt.rotation_secret":
		return c.JWT.RotationSecret.String()
	case "broadcasts.redis.sentinels":
		out := []string{}
		for _, one := range c.Broadcasts.Redis.Sentinels {
			out = append(out, one.String())
		}
		return out
	}
	var value any = values
	for part := range strings.SplitSeq(s.key, ".") {
		value = lookup(value, part)
	}
	switch value := value.(type) {
	case time.Duration:
		return value.String()
	case int64:
		return formatSize(value)
	case string:
		if s.secret && s.kind == text && value != "" {
			return "(secret)"
		}
		return withoutPassword(value)
	}
	return value
}

// lookup finds a key of catenary.yml among the field names and tags of Config.
func lookup(group any, name string) any {
	members, _ := group.(map[string]any)
	for key, value := range members {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return nil
}

// child returns the mapping of that name in a group, and adds it if it is not there.
func child(group *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(group.Content); i += 2 {
		if group.Content[i].Value == name {
			return group.Content[i+1]
		}
	}
	next := &yaml.Node{Kind: yaml.MappingNode}
	group.Content = append(group.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, next)
	return next
}
