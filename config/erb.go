package config

import (
	"fmt"
	"regexp"
	"strings"
)

// rubyLiteral is a text in Ruby source, ended or not.
var rubyLiteral = regexp.MustCompile(`(?s)"[^"]*"?|'[^']*'?`)

// unresolved is an expression that only Ruby can evaluate. It keeps literals out of
// the message, for one may be a password. Only those that can be the name of a
// variable are shown.
func unresolved(file string, line int, expression, reason string) error {
	hide := func(s string) string {
		return rubyLiteral.ReplaceAllStringFunc(s, func(literal string) string {
			for _, c := range strings.Trim(literal, `"'`) {
				if c != '_' && (c < 'A' || c > 'Z') {
					return `"…"`
				}
			}
			return literal
		})
	}
	return fmt.Errorf("%s:%d: cannot evaluate <%%%s%%> without Ruby: %s; set the key in config/catenary.yml, or let the gem catenary-rails tell it",
		file, line, hide(expression), reason)
}

// evaluator evaluates the Ruby that real cable.yml files have in <%= … %>:
// ENV and its fetch, ||, ?:, presence and the like, Rails.env, two OpenSSL
// constants and literals. A value is nil, a bool, an int or a string.
type evaluator struct {
	variables   map[string]string
	environment string
}

// rubyDepth bounds nesting, so that no file can exhaust the stack.
const rubyDepth = 32

// missingVariable travels from fetch to the place that knows file and line.
type missingVariable string

func (m missingVariable) Error() string { return "KeyError: " + string(m) }

// text evaluates an expression to what ERB puts into the file.
func (e evaluator) text(expression string) (string, error) {
	r := &ruby{evaluator: e, rest: strings.TrimSpace(expression)}
	value, err := r.ternary(false)
	if err != nil {
		return "", err
	}
	if r.space(); r.rest != "" {
		return "", fmt.Errorf("catenary reads no %q there", r.rest[:1])
	}
	return toS(value), nil
}
