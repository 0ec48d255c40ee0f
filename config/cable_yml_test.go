package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config/erb"
	"github.com/catenary-cable/catenary/config/internal/rubytest"
	"github.com/catenary-cable/catenary/config/yml"
)

// asRails reads files of cable.yml as Rails::Application#config_for does. The result is null if
// Rails rejects a file, for an expression in another section.
const asRails = `require "json"; require "openssl"; require "active_support/all"; require "active_support/configuration_file"
module Rails; def self.env; ActiveSupport::StringInquirer.new("production"); end; end
results = JSON.parse($stdin.read).map do |file|
  all = ActiveSupport::ConfigurationFile.parse(file) || {}
  cable = (all["shared"] || {}).deep_merge(all["production"] || {})
  cable["url"] = ENV["REDIS_URL"] if cable.values_at("url", "host", "port", "path").none? # as the redis gem has it
  cable
rescue Exception
  nil
end
puts JSON.generate(results)`

func TestCableYML_MeansWhatItMeansToRails(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(fixtures, "good", "cable_*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	var told []map[string]any
	if err := json.Unmarshal(rubytest.Run(t, asRails, string(in), append(os.Environ(), production()...)), &told); err != nil {
		t.Fatal(err)
	}
	compared, root := 0, t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "config"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, settings := range told {
		if settings == nil {
			continue
		}
		compared++
		theirs := printed(t, mustLoad(t, Input{Root: root, Environ: production(), FromRails: settings}))
		source, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, cableFile), source, 0o600); err != nil {
			t.Fatal(err)
		}
		ours := printed(t, mustLoad(t, Input{Root: root, Environ: production()}))
		if !maps.Equal(theirs, ours) {
			t.Errorf("%s: Rails and the file differ in %v", files[i], differences(theirs, ours))
		}
	}
	if compared < 12 {
		t.Errorf("only %d files were compared", compared)
	}
}

func differences(theirs, ours map[string]string) (keys []string) {
	for key := range theirs {
		if theirs[key] != ours[key] {
			keys = append(keys, fmt.Sprintf("%s: %s and %s", key, theirs[key], ours[key]))
		}
	}
	return keys
}

func TestCableYML_NamesTheLineAfterTagsOfSeveralLines(t *testing.T) {
	source := "# <%# one\ntwo\nthree %>\nproduction:\n  url: <%= ENV[\n  'X'] %>\n  port: many\n"
	c := mustLoad(t, Input{Root: app(t, map[string]string{cableFile: source}), Environ: []string{"RAILS_ENV=production"}})
	if c.Unread == nil || !strings.HasPrefix(c.Unread.Error(), "config/cable.yml:7: port") {
		t.Errorf("got %v", c.Unread)
	}
}

func FuzzSection(f *testing.F) {
	f.Add("production:\n  url: <%= ENV['URL'] %>\n  <<: *a\n")
	f.Add("a: &a {b: [1]}\nproduction: *a\n")
	f.Add("a: &a [*a]\nproduction: {x: *a}\n")
	f.Fuzz(func(t *testing.T, source string) {
		s, err := yml.Read("f", source, "production", erb.Evaluator{Variables: map[string]string{"URL": "redis://h/1"}, Environment: "production"})
		if err != nil {
			return
		}
		byKey := settingsByKey()
		for _, entry := range s.Entries {
			node, err := s.Value(entry)
			if err != nil {
				continue
			}
			for _, setting := range byKey {
				setting.parse(node) //nolint:errcheck // it must return, with whatever value
			}
		}
	})
}
