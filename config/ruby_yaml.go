package config

import (
	"errors"
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Unquoted texts of which Ruby's YAML 1.1 makes something else than they say.
var (
	rubyTruth  = regexp.MustCompile(`^(?i:yes|no|on|off)$`)
	rubyNumber = regexp.MustCompile(`^[-+]?(0[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|[0-9][0-9,]*_[0-9,_]*|[0-9]+(,[0-9]+)+|[0-9][0-9_]*(:[0-5]?[0-9])+)$`)
	rubySymbol = regexp.MustCompile(`^:[A-Za-z_]\w*$`)
)

// Unquoted texts of which every version of Ruby's YAML makes just that text, or
// that number.
var (
	rubyText    = regexp.MustCompile(`^[A-Za-z_/][^\n]*$|^[0-9]{1,3}(\.[0-9]{1,3}){3}$`)
	rubyWord    = regexp.MustCompile(`^(?i:true|false|yes|no|on|off|null)$`)
	rubyInteger = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)
	rubySeconds = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.[0-9]+)?$`)
)

// asRuby is nil if Ruby reads a value of cable.yml as we do, as far as its kind
// says what the redis gem makes of it.
func asRuby(k kind, n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		for _, child := range n.Content {
			if err := asRuby(text, child); err != nil {
				return err
			}
		}
		return nil
	}
	word := !quoted(n) && rubyWord.MatchString(n.Value)
	var certain bool
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		return errors.New("has a tag, which only Ruby understands")
	case k == boolean && !word:
		return errors.New("is true for Ruby, whatever it says: write true or false, without quotes")
	case k == boolean:
		certain = true
	case k == duration:
		certain = rubySeconds.MatchString(n.Value)
	case k == integer:
		certain = rubyInteger.MatchString(n.Value)
	default:
		certain = quoted(n) || !word && rubyText.MatchString(n.Value) || rubyInteger.MatchString(n.Value)
	}
	if !certain {
		return errors.New("Ruby may read this as another value: put it in quotes")
	}
	return nil
}

// rubyReads warns of an unquoted text that Rails would read as another value.
func rubyReads(n *yaml.Node) string {
	if quoted(n) {
		return ""
	}
	switch {
	case rubyTruth.MatchString(n.Value):
		return "Ruby reads this word as true or false"
	case rubyNumber.MatchString(n.Value):
		return "Ruby reads this as another number"
	case rubySymbol.MatchString(n.Value):
		return "Ruby reads this as a symbol"
	}
	return ""
}
