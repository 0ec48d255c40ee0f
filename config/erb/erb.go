package erb

import (
	"fmt"
	"regexp"
	"strings"
)

// Evaluator evaluates expressions. They may read Variables as ENV and Environment as Rails.env.
type Evaluator struct {
	Variables   map[string]string
	Environment string
}

// Evaluate returns the text that ERB would put in place of <%= expression %>.
func (e Evaluator) Evaluate(expression string) (string, error) {
	p := &parser{Evaluator: e, rest: strings.TrimSpace(expression)}
	value, err := p.ternary(false)
	if err != nil {
		return "", err
	}
	p.space()
	if p.rest != "" {
		return "", unexpected(p.rest)
	}
	return toS(value), nil
}

// MissingVariable is the KeyError of ENV.fetch: the name of a variable that is not set.
type MissingVariable string

func (m MissingVariable) Error() string { return "KeyError: " + string(m) }

// rubyLiteral matches a string in Ruby source, closed or not.
var rubyLiteral = regexp.MustCompile(`(?s)"[^"]*"?|'[^']*'?`)

// Unresolved is the error for an expression that only Ruby can evaluate. It shows the expression,
// but only those of its strings that could name a variable: another one may be a password.
func Unresolved(file string, line int, expression, reason string) error {
	shown := rubyLiteral.ReplaceAllStringFunc(expression, func(literal string) string {
		for _, c := range strings.Trim(literal, `"'`) {
			if c != '_' && (c < 'A' || c > 'Z') {
				return `"…"`
			}
		}
		return literal
	})
	return fmt.Errorf("%s:%d: cannot evaluate <%%%s%%> without Ruby: %s; "+
		"set the key in config/catenary.yml, or let Rails report it with the gem catenary-rails", file, line, shown, reason)
}

func unexpected(rest string) error {
	return fmt.Errorf("catenary does not understand %q", rest[:1])
}
