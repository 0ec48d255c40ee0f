package audit

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// passedThrough are the channels that config/catenary.yml leaves to the
// application's own Action Cable in production; "all" is every channel. What
// the environment or flags say is not known here.
func passedThrough(root string) []string {
	text, err := os.ReadFile(filepath.Join(root, "config", "catenary.yml"))
	if err != nil {
		return nil
	}
	var sections map[string]struct {
		PassThrough yaml.Node `yaml:"pass_through"`
	}
	if yaml.Unmarshal(text, &sections) != nil {
		return nil // catenary config says what is wrong with it
	}
	for _, environment := range []string{"production", "shared"} {
		if node, ok := sections[environment]; ok && !node.PassThrough.IsZero() {
			return classes(node.PassThrough)
		}
	}
	return nil
}

// classes reads a list or a, b.
func classes(node yaml.Node) []string {
	var names []string
	if node.Decode(&names) != nil {
		names = strings.Split(node.Value, ",")
	}
	for i, name := range names {
		names[i] = strings.TrimPrefix(strings.TrimSpace(name), "::")
	}
	return names
}

// passes says whether a channel is one of those.
func passes(passed []string, channel string) bool {
	return slices.Contains(passed, channel) || slices.Contains(passed, "all")
}
