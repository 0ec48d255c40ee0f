package config

import (
	"errors"
	"regexp"

	"github.com/catenary-cable/catenary/config/yml"
	"go.yaml.in/yaml/v3"
)

// Unquoted texts that Ruby's YAML 1.1 reads as something other than our YAML 1.2 does.
var (
	rubyTruth  = regexp.MustCompile(`^(?i:yes|no|on|off)$`)
	rubyNumber = regexp.MustCompile(`^[-+]?(0[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|[0-9][0-9,]*_[0-9,_]*|[0-9]+(,[0-9]+)+|[0-9][0-9_]*(:[0-5]?[0-9])+)$`)
	rubySymbol = regexp.MustCompile(`^:[A-Za-z_]\w*$`)
)

// Unquoted texts that every version of Ruby's YAML reads as that text, or that number.
var (
	rubyText    = regexp.MustCompile(`^[A-Za-z_/][^\n]*$|^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
	rubyWord    = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null)$`)
	rubyInteger = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	rubySeconds = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)
)

// checkRuby rejects a value of cable.yml unless it is certain that Ruby, and then the redis gem,
// reads the same. What the gem makes of a value depends on the kind of the setting.
func checkRuby(k kind, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		for _, child := range n.Content {
			if err := checkRuby(text, child); err != nil {
				return err
			}
		}
		return nil
	}
	word := !yml.Quoted(n) && rubyWord.MatchString(n.Value)
	var certain bool
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		return errors.New("has a tag, which catenary does not read: remove it")
	case k == boolean && !word:
		return errors.New("is true in Ruby, because it is not a boolean: write true or false, without quotes")
	case k == boolean:
		certain = true
	case k == duration:
		certain = rubySeconds.MatchString(n.Value)
	case k == integer:
		certain = rubyInteger.MatchString(n.Value)
	default:
		certain = yml.Quoted(n) || !word && rubyText.MatchString(n.Value) || rubyInteger.MatchString(n.Value)
	}
	if !certain {
		return errors.New("Ruby may read another value here: put it in quotes")
	}
	return nil
}

// rubyReadsOther names what Ruby makes of an unquoted text that it reads differently, or is "".
func rubyReadsOther(n *yaml.Node) string {
	if yml.Quoted(n) {
		return ""
	}
	switch {
	case rubyTruth.MatchString(n.Value):
		return "true or false"
	case rubyNumber.MatchString(n.Value):
		return "another number"
	case rubySymbol.MatchString(n.Value):
		return "a symbol"
	}
	return ""
}
