package config

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/catenary-cable/catenary/config/internal/rubytest"
)

// oracle reads texts of cable.yml as Rails' config_for does. For each it prints what the gem would
// report with version 4 and with version 5 of the redis gem, or null if Rails rejects the text.
const oracle = `require "json"; require "openssl"; require "date"; require "pathname"; require "uri"; require "tempfile"
require "active_support/all"; require "active_support/configuration_file"
module Rails; def self.env; ActiveSupport::StringInquirer.new("production"); end; end
module Redis; end
module Settings; def self.prefix; "theirs"; end; end
require File.expand_path("../rpc/rails/lib/catenary/rails/cable_settings")
$stderr = File.open(File::NULL, "w")
told = JSON.parse($stdin.read).map do |text|
  all = Tempfile.create("cable") { |file| file.write(text); file.flush; ActiveSupport::ConfigurationFile.parse(file.path) }.deep_symbolize_keys
  config, shared = all[:production], all[:shared]
  config = {} if config.nil? && shared.is_a?(Hash)
  config = shared.deep_merge(config) if config.is_a?(Hash) && shared.is_a?(Hash)
  %w[4.8.0 5.3.0].map do |version|
    Redis.send(:remove_const, :VERSION) if Redis.const_defined?(:VERSION)
    Redis.const_set(:VERSION, version)
    Catenary::Rails::CableSettings.new(config.to_h.with_indifferent_access).to_h
  end
rescue Exception
  nil
end
puts JSON.generate(told)`

// oracleVariables are what ERB finds in the environment.
var oracleVariables = []string{
	"VERSION=1.10", "NAME=app", "TRUTH=yes", "OCTAL=0123", "EMPTY=", "SPACE= ", "URL=redis://from-env:6390/1", "HASH=a #b", "QUOTE=a\"b", "APOSTROPHE=a'b",
	"COLON=a: b", "COMMA=a,b", "STAR=*a", "BACKSLASH=a\\nb", "LINES=a\nchannel_prefix: b", "NULL=null", "TIME=12:30", "PORT_NUMBER=6400", "BRACE=a}",
}

// scalars are values of a key. Most of them are unusual, but somebody will write them.
var scalars = []string{
	"app", "app_production", "1.10", "1e3", "1_000", "0123", "0x1f", "0b11", "0o17", "12:30:45", "12:30", "yes", "No", "on", "OFF", "true", "False", "null", "Null", "~", "",
	":symbol", `:"quoted"`, "2020-01-02", "2020-01-02 10:00:00", ".5", "5.", ".inf", "-.INF", ".nan", "+7", "-7", "1,000", "6379", "63790", "0", "00", "007", "1.0", "1.5",
	"12345678901234567890123", "y", "n", "nULL", "=", "<<", "app #comment", "app#fragment", "'app'", `"app"`, `"1.10"`, "'0123'", `"yes"`, `'it''s'`, `"tab\there"`, `"\u0041"`,
	"!!str 123", "!!int '7'", "!!float 1", "! 7", "!ruby/symbol x", "!!binary YXBw", "|\n    app", "|-\n    app", ">\n    app\n    more", ">-\n    app\n    more", "app\n    more",
	"[a, b]", "{a: b}", "[]", "{}", "*value", "&other app", "&other 1.10", "app:production", "app: production", "redis://h:6379/1", "redis://:p%40ss@h:6380/2", "rediss://h", "redis://u:p@h",
	"unix:///run/redis.sock", "valkey://h", "postgres://h/db", "127.0.0.1", "1.2.3.4.5", "::1", "[::1]", "/run/redis.sock", "ärger", "@app", "`app`", "%app", "a'b", `a"b`, "- a", "? a", "app ", "- 1",
}

var templates = []string{
	`<%= ENV["VERSION"] %>`, `"<%= ENV["VERSION"] %>"`, `<%= ENV["NAME"] %>`, `<%= ENV["TRUTH"] %>`, `<%= ENV["OCTAL"] %>`, `<%= ENV["EMPTY"] %>`, `"<%= ENV["EMPTY"] %>"`, `<%= ENV["SPACE"] %>`,
	`<%= ENV["NONE"] %>`, `"<%= ENV["NONE"] %>"`, `<%= ENV.fetch("URL") %>`, `<%= ENV.fetch("NONE", "redis://default:6379") %>`, `<%= ENV.fetch("NONE") { 6401 } %>`, `<%= ENV["HASH"] %>`, `"<%= ENV["HASH"] %>"`,
	`<%= ENV["QUOTE"] %>`, `"<%= ENV["QUOTE"] %>"`, `'<%= ENV["QUOTE"] %>'`, `<%= ENV["APOSTROPHE"] %>`, `'<%= ENV["APOSTROPHE"] %>'`, `"<%= ENV["APOSTROPHE"] %>"`, `<%= ENV["COLON"] %>`, `"<%= ENV["COLON"] %>"`,
	`<%= ENV["COMMA"] %>`, `<%= ENV["STAR"] %>`, `<%= ENV["BACKSLASH"] %>`, `"<%= ENV["BACKSLASH"] %>"`, `'<%= ENV["BACKSLASH"] %>'`, `<%= ENV["LINES"] %>`, `"<%= ENV["LINES"] %>"`, `<%= ENV["NULL"] %>`, `<%= ENV["TIME"] %>`,
	`<%= ENV["BRACE"] %>`, `<%= ENV["PORT_NUMBER"] %>`, `<%= ENV["NAME"] %>_<%= Rails.env %>`, `<%= ENV["NONE"] %>x`, `<%= Settings.prefix %>`, `"<%= Settings.prefix %>"`, `<%= 1 + 1 %>`, `<%= 0x10 %>`,
	`<%= Rails.env.production? ? "p" : "d" %>`, `<%= ENV["NONE"] || "other" %>`, `<%= ENV["NONE"].presence || nil %>`, `<%= nil %>`, `<%= true %>`, `<%= false || nil %>`, `<%= OpenSSL::SSL::VERIFY_NONE %>`,
	"|\n    <%= ENV[\"NAME\"] %>", "|-\n    <%= ENV[\"EMPTY\"] %>", "<%= ENV[\"NAME\"]\n    %>", "<%# nothing %>app", "<%% app", `<%= ENV["NAME"] # comment %>`, `<%= "#{ENV["NAME"]}-1" %>`, "&other <%= ENV[\"VERSION\"] %>",
}

// generated is a random text of cable.yml.
func generated(chance *rand.Rand) string {
	pick := func(from []string) string { return from[chance.IntN(len(from))] }
	value := func(key string) string {
		switch n := chance.IntN(10); {
		case n < 3:
			return pick(scalars)
		case n < 5:
			return pick(templates)
		}
		usual := map[string][]string{
			"adapter": {"redis"}, "url": {"redis://a:6379/1", "redis://b", "rediss://c:6380"}, "host": {"h", "10.0.0.1"}, "port": {"6379", "6400"}, "db": {"1", "2"}, "ssl": {"true", "false"},
			"verify_mode": {"0", "1"}, "verify_hostname": {"true", "false"}, "connect_timeout": {"2", "0.5"},
		}[key]
		if usual == nil {
			usual = []string{"app", "blog", `"x"`, "pass word"}
		}
		return pick(usual)
	}
	keys := []string{"adapter", "url", "url", "host", "port", "db", "username", "password", "channel_prefix", "channel_prefix", "channel_prefix", "ssl", "connect_timeout", "name", "timeout"}
	var out strings.Builder
	body := func(anchors ...string) {
		var lines []string
		for range 1 + chance.IntN(4) {
			key := pick(keys)
			line := "  " + key + ": " + value(key) + "\n"
			switch chance.IntN(30) {
			case 0:
				line = "  :" + strings.TrimSpace(line) + "\n"
			case 1:
				line = fmt.Sprintf("  %q: %s\n", key, value(key))
			case 2:
				line = "  <%= \"" + key + "\" %>: " + value(key) + "\n"
			}
			if chance.IntN(12) > 0 && slices.ContainsFunc(lines, func(other string) bool { return strings.HasPrefix(other, "  "+key+":") }) {
				continue
			}
			lines = append(lines, line)
		}
		if chance.IntN(3) == 0 {
			nested := "  ssl_params:\n"
			for _, key := range []string{"verify_mode", "verify_hostname", "ca_file"} {
				if chance.IntN(2) == 0 {
					nested += "    " + key + ": " + value(key) + "\n"
				}
			}
			lines = append(lines, nested)
		}
		if chance.IntN(8) == 0 {
			lines = append(lines, "  sentinels:\n    - host: s1\n      port: 26379\n    - {host: "+pick([]string{"s2", "10.1.1.1", "1.5", "<%= ENV[\"NAME\"] %>"})+", port: "+pick([]string{"26380", `"26381"`, "026"})+"}\n", "  name: master\n")
		}
		for _, anchor := range anchors {
			merge := "  <<: *" + anchor + "\n"
			switch chance.IntN(12) {
			case 0:
				merge = "  <<: [*" + anchor + ", {channel_prefix: listed, db: 3}]\n"
			case 1:
				merge = "  <<:\n    - *" + anchor + "\n    - {channel_prefix: listed}\n"
			case 2:
				merge = "  \"<<\": *" + anchor + "\n"
			case 3:
				merge = "  <<: {channel_prefix: written, host: there}\n"
			}
			lines = slices.Insert(lines, chance.IntN(len(lines)+1), merge)
		}
		out.WriteString(strings.Join(lines, ""))
	}
	if chance.IntN(20) == 0 {
		out.WriteString(pick([]string{"---\n", "# a comment: <%= ENV[\"NAME\"] %>\n", "%YAML 1.1\n---\n", "<% x = 1 %>\n", "\n\n"}))
	}
	out.WriteString("value: &value " + pick([]string{"shared_value", "1.10", "yes"}) + "\n")
	out.WriteString("default: &default\n")
	body()
	out.WriteString("more: &more\n")
	body("default")
	if chance.IntN(4) == 0 {
		out.WriteString("shared:\n")
		body()
	}
	out.WriteString("development:\n  adapter: async\n")
	switch chance.IntN(20) {
	case 0:
		out.WriteString("production: *more\n")
	case 1:
		out.WriteString("production: {adapter: redis, channel_prefix: " + pick(append(scalars, templates...)) + "}\n")
	case 2:
		out.WriteString("<%= Rails.env %>:\n")
		body("default")
	case 3:
		out.WriteString("production:\n")
		body("default", "more")
	default:
		out.WriteString("production:\n")
		body([][]string{nil, {"default"}, {"default"}, {"more"}}[chance.IntN(4)]...)
	}
	return out.String()
}

// catenary reads a file as Ruby does, or asks Rails, or rejects it. It never reads anything else.
func TestCableYML_IsReadAsRubyReadsItOrNotAtAll(t *testing.T) {
	const files = 1500
	chance := rand.New(rand.NewPCG(13, 2))
	var texts []string
	for _, redis := range []string{"channel_prefix", "url", "password", "ssl", "port", "host", "connect_timeout"} {
		for _, value := range append(slices.Clone(scalars), templates...) { // each alone
			texts = append(texts, "value: &value 1.10\nproduction:\n  adapter: redis\n  "+redis+": "+value+"\n")
		}
	}
	for len(texts) < files {
		texts = append(texts, generated(chance))
	}
	in, err := json.Marshal(texts)
	if err != nil {
		t.Fatal(err)
	}
	root, agreed, asked, rejected, differ := t.TempDir(), 0, 0, 0, 0
	if err := os.Mkdir(filepath.Join(root, "config"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, redisURL := range [][]string{nil, {"REDIS_URL=redis://elsewhere:6381/3"}} {
		environ := slices.Concat([]string{"RAILS_ENV=production", "SECRET_KEY_BASE=s"}, oracleVariables, redisURL)
		var reported [][]map[string]any
		if err := json.Unmarshal(rubytest.Run(t, oracle, string(in), slices.Concat(os.Environ(), environ)), &reported); err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if reported[i] == nil {
				rejected++
				continue
			}
			if err := os.WriteFile(filepath.Join(root, cableFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			ours, err := Load(Input{Root: root, Environ: environ})
			if err != nil || ours.Unread != nil {
				asked++
				continue
			}
			same := true
			for _, settings := range reported[i] {
				theirs, err := Load(Input{Root: root, Environ: environ, FromRails: settings})
				if err == nil {
					err = theirs.Unread
				}
				if err != nil {
					t.Errorf("Rails reports %v, and catenary says: %v\n%s", settings, err, text)
					same = false
				} else if !reflect.DeepEqual(theirs.Broadcasts, ours.Broadcasts) {
					t.Errorf("Rails and the file differ: %v\n%s", differences(printed(t, theirs), printed(t, ours)), text)
					same = false
				}
			}
			if same {
				agreed++
			} else if differ++; differ > 12 {
				t.Fatal("and more")
			}
		}
	}
	t.Logf("%d agree, for %d catenary asks Rails, %d Rails rejects", agreed, asked, rejected)
	if agreed < files/4 {
		t.Error("too few files are read")
	}
}
