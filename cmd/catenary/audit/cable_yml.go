package audit

import (
	"fmt"
	"os"
	"path/filepath"

	"go.yaml.in/yaml/v3"
)

// adapters say of those in cable.yml whose broadcasts catenary does not hear
// why, and what helps.
var adapters = map[string][2]string{
	"any_cable": {"it publishes for another server", "change: adapter: redis"},
}

// cableYML looks at the adapter of production, which must be one that catenary
// hears, and of development. What ERB decides is not looked at: catenary
// config does that, with the environment.
func cableYML(root string) []Finding {
	const file = "config/cable.yml"
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
	if err != nil {
		return nil
	}
	var sections map[string]struct {
		Adapter yaml.Node `yaml:"adapter"`
	}
	if yaml.Unmarshal(text, &sections) != nil {
		return nil // catenary config says what is wrong with it
	}
	var found []Finding
	for _, environment := range []string{"production", "development"} {
		adapter := sections[environment].Adapter
		for adapter.Kind == yaml.AliasNode {
			adapter = *adapter.Alias
		}
		why, unheard := adapters[adapter.Value]
		if !unheard {
			continue
		}
		runs := Never
		if environment == "development" {
			runs = Plain
		}
		found = append(found, Finding{Rule: "cable.yml", File: file, Line: adapter.Line, Runs: runs, Code: "adapter: " + adapter.Value,
			Means: fmt.Sprintf("in %s catenary hears nothing: %s", environment, why[0]), Advice: why[1]})
	}
	return found
}
