package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var erbVariables = map[string]string{"URL": "redis://h/1", "EMPTY": "", "BLANK": " ", "NUMBER": "17 and more"}

// expressions are the forms that real cable.yml files have, and what they give.
var expressions = map[string]string{
	`ENV["URL"]`:                         "redis://h/1",
	`ENV['NONE']`:                        "",
	`ENV.fetch("URL")`:                   "redis://h/1",
	`ENV.fetch("URL") { "x" }`:           "redis://h/1",
	`ENV.fetch("NONE") { "x" }`:          "x",
	`ENV.fetch("NONE") { }`:              "",
	`ENV.fetch('NONE') {'y'}`:            "y",
	`ENV.fetch("NONE", "x")`:             "x",
	`ENV.fetch("NONE", 6379)`:            "6379",
	`ENV.fetch("NONE", ENV["URL"])`:      "redis://h/1",
	`ENV.fetch("NONE", nil).presence`:    "",
	`ENV.fetch("EMPTY") { "x" }`:         "",
	`ENV["NONE"] || "x"`:                 "x",
	`ENV["EMPTY"] || "x"`:                "",
	`ENV["BLANK"].presence || "x"`:       "x",
	`ENV["NONE"] || ENV["NOR"] || 6379`:  "6379",
	`ENV["URL"].present? ? "a" : "b"`:    "a",
	`ENV["NONE"].present? ? "a" : "b"`:   "b",
	`ENV["BLANK"].blank? ? 'a' : 'b'`:    "a",
	`ENV["URL"] ? ENV["URL"] : nil`:      "redis://h/1",
	`ENV["NONE"] ? ENV.fetch("NOR") : 1`: "1",
	`ENV["URL"] || ENV.fetch("NONE")`:    "redis://h/1",
	`ENV["NUMBER"].to_i`:                 "17",
	`ENV["NONE"].to_i`:                   "0",
	`ENV["NONE"].nil?`:                   "true",
	`("x")`:                              "x",
	`"app_#{Rails.env}_cable"`:           "app_production_cable",
	`"#{ENV["NONE"] || "q"}-#{}"`:        "q-",
	`Rails.env`:                          "production",
	`Rails.env.production? ? 1 : 2`:      "1",
	`Rails.env.test?`:                    "false",
	`Rails.env.local?`:                   "false",
	`OpenSSL::SSL::VERIFY_NONE`:          "0",
	`OpenSSL::SSL::VERIFY_PEER`:          "1",
	`'it\'s'`:                            "it's",
	`"a\"b"`:                             `a"b`,
	`false || nil`:                       "",
	`true`:                               "true",
}

func TestERB_EvaluatesTheFormsThatApplicationsUse(t *testing.T) {
	for expression, want := range expressions {
		got, err := evaluator{erbVariables, "production"}.text(" " + expression + " ")
		if err != nil || got != want {
			t.Errorf("%s gives %q, %v; want %q", expression, got, err, want)
		}
	}
}

func TestERB_GivesWhatRubyGives(t *testing.T) {
	script := `require "json"; require "openssl"; require "active_support/all"
module Rails; def self.env; ActiveSupport::StringInquirer.new("production"); end; end
puts JSON.generate(JSON.parse($stdin.read).to_h { |e| [e, eval(e).to_s] })`
	list := []string{}
	for expression := range expressions {
		list = append(list, expression)
	}
	in, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	env := os.Environ()
	for name, value := range erbVariables {
		env = append(env, name+"="+value)
	}
	var results map[string]string
	if err := json.Unmarshal(runRuby(t, script, string(in), env), &results); err != nil {
		t.Fatal(err)
	}
	for expression, want := range expressions {
		if results[expression] != want {
			t.Errorf("Ruby gives %q for %s, we expect %q", results[expression], expression, want)
		}
	}
}

// runRuby runs a script in Ruby with Rails' libraries.
func runRuby(t *testing.T, script, stdin string, env []string) []byte {
	t.Helper()
	if exec.Command("ruby", "-e", `require "active_support/all"`).Run() != nil {
		t.Fatal("Ruby with Rails' libraries is missing: run script/install rails")
	}
	command := exec.CommandContext(t.Context(), "ruby", "-e", script)
	command.Stdin, command.Stderr, command.Env = strings.NewReader(stdin), os.Stderr, env
	out, err := command.Output()
	if err != nil {
		t.Fatalf("ruby: %v", err)
	}
	return out
}

func TestERB_LeavesEverythingElseToRuby(t *testing.T) {
	for _, expression := range []string{
		"", "Settings.redis.url", "Rails.application.credentials.x", "Rails.environment", "Rails.env.upcase", "ENV", "ENV.key?('A')", "ENV[name]",
		`ENV["A"].strip`, `ENV["A"] + "x"`, `ENV["A"] && "x"`, `"a" "b"`, "`ls`", `"\x41"`, `"open`, "'open", "0123", "1.5", "if x", "x ? y : z",
		`ENV.fetch("A") do "x" end`, `OpenSSL::SSL::VERIFY_ALL`, "ENV.fetch 'A'", `"a" -`, strings.Repeat("(", 10_000), `-1`, `ENV.fetch("NONE") { |n| n }`,
	} {
		value, err := evaluator{erbVariables, "production"}.text(expression)
		if err == nil {
			t.Errorf("%.40s gives %q", expression, value)
		}
	}
	_, err := evaluator{erbVariables, "production"}.text(`ENV.fetch("NONE")`)
	var missing missingVariable
	if !errors.As(err, &missing) || missing != "NONE" {
		t.Errorf("a missing variable gives %v", err)
	}
}

func TestTemplate_KnowsTheLineAfterTagsOfManyLines(t *testing.T) {
	source := "# <%# one\ntwo\nthree %>\nproduction:\n  url: <%= ENV[\n  'X'] %>\n  port: many\n"
	c := mustLoad(t, Input{Root: app(t, map[string]string{cableFile: source}), Environ: []string{"RAILS_ENV=production"}})
	if c.Unread == nil || !strings.HasPrefix(c.Unread.Error(), "config/cable.yml:7: port") {
		t.Errorf("got %v", c.Unread)
	}
}

func TestSection_EndsWithAliasesOfAliases(t *testing.T) {
	for _, leaf := range []string{"{url: x}", "[x]"} {
		source := "a0: &a0 " + leaf + "\n"
		for i := 1; i < 12; i++ {
			one := fmt.Sprintf("*a%d", i-1)
			list := "[" + strings.Repeat(one+", ", 20) + one + "]"
			if leaf[0] == '{' {
				list = "{<<: " + list + "}"
			}
			source += fmt.Sprintf("a%d: &a%d %s\n", i, i, list)
		}
		s, err := readSection("f", source+"production: {list: *a11}\n", "production", evaluator{})
		if err == nil {
			_, err = s.value(s.entries[0])
		}
		if err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%s: %v", leaf, err)
		}
	}
}

func FuzzERB(f *testing.F) {
	for expression := range expressions {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		evaluator{erbVariables, "production"}.text(expression) //nolint:errcheck // it must return, whatever it says
	})
}

func FuzzSection(f *testing.F) {
	f.Add("production:\n  url: <%= ENV['URL'] %>\n  <<: *a\n")
	f.Add("a: &a {b: [1]}\nproduction: *a\n")
	f.Add("a: &a [*a]\nproduction: {x: *a}\n")
	f.Fuzz(func(t *testing.T, source string) {
		s, err := readSection("f", source, "production", evaluator{erbVariables, "production"})
		if err != nil {
			return
		}
		byKey := settingsByKey()
		for _, entry := range s.entries {
			node, err := s.value(entry)
			if err != nil {
				continue
			}
			for _, setting := range byKey {
				setting.parse(node) //nolint:errcheck // it must return, whatever it says
			}
		}
	})
}
