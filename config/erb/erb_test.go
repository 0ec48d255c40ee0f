package erb

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config/internal/rubytest"
)

var variables = map[string]string{"URL": "redis://h/1", "EMPTY": "", "BLANK": " ", "NUMBER": "17 and more"}

// expressions are those that real cable.yml files have, and their values.
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
		got, err := Evaluator{variables, "production"}.Evaluate(" " + expression + " ")
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
	for name, value := range variables {
		env = append(env, name+"="+value)
	}
	var results map[string]string
	if err := json.Unmarshal(rubytest.Run(t, script, string(in), env), &results); err != nil {
		t.Fatal(err)
	}
	for expression, want := range expressions {
		if results[expression] != want {
			t.Errorf("Ruby gives %q for %s, we expect %q", results[expression], expression, want)
		}
	}
}

func TestERB_LeavesEverythingElseToRuby(t *testing.T) {
	for _, expression := range []string{
		"", "Settings.redis.url", "Rails.application.credentials.x", "Rails.environment", "Rails.env.upcase", "ENV", "ENV.key?('A')", "ENV[name]",
		`ENV["A"].strip`, `ENV["A"] + "x"`, `ENV["A"] && "x"`, `"a" "b"`, "`ls`", `"\x41"`, `"open`, "'open", "0123", "1.5", "if x", "x ? y : z",
		`ENV.fetch("A") do "x" end`, `OpenSSL::SSL::VERIFY_ALL`, "ENV.fetch 'A'", `"a" -`, strings.Repeat("(", 10_000), `-1`, `ENV.fetch("NONE") { |n| n }`,
	} {
		value, err := Evaluator{variables, "production"}.Evaluate(expression)
		if err == nil {
			t.Errorf("%.40s gives %q", expression, value)
		}
	}
	_, err := Evaluator{variables, "production"}.Evaluate(`ENV.fetch("NONE")`)
	var missing MissingVariable
	if !errors.As(err, &missing) || missing != "NONE" {
		t.Errorf("a missing variable gives %v", err)
	}
}

func FuzzERB(f *testing.F) {
	for expression := range expressions {
		f.Add(expression)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		Evaluator{variables, "production"}.Evaluate(expression) //nolint:errcheck // it must return, with whatever value
	})
}
