package config

import (
	"regexp"

	"go.yaml.in/yaml/v3"
)

// Unquoted texts of which Ruby's YAML 1.1 makes something else than they say.
var (
	rubyTruth  = regexp.MustCompile(`^(?i:yes|no|on|off)$`)
	rubyNumber = regexp.MustCompile(`^[-+]?(0[0-7_]+|0x[0-9a-fA-F_]+|0b[01_]+|0o[0-7_]+|[0-9][0-9,]*_[0-9,_]*|[0-9]+(,[0-9]+)+|[0-9][0-9_]*(:[0-5]?[0-9])+)$`)
	rubySymbol = regexp.MustCompile(`^:[A-Za-z_]\w*$`)
)

// rubyReads warns of an unquoted text that Rails would read as another value.
func rubyReads(n *yaml.Node) string {
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
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
