package erb

import (
	"fmt"
	"strconv"
	"strings"
)

// parser evaluates one expression while it reads it. A value is nil, a bool, an int or a string.
// With dry, a method parses a branch that Ruby would not run, so that a missing variable is no
// error there.
type parser struct {
	Evaluator
	rest  string // what is not read yet
	depth int
}

// maxDepth bounds nesting, so that no file can exhaust the stack.
const maxDepth = 32

func (p *parser) space() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// take reads a token, and reports whether it is there.
func (p *parser) take(token string) bool {
	p.space()
	rest, ok := strings.CutPrefix(p.rest, token)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) need(token string) error {
	if !p.take(token) {
		return fmt.Errorf("%q is missing", token)
	}
	return nil
}

// ternary is or [ "?" ternary ":" ternary ].
func (p *parser) ternary(dry bool) (any, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, fmt.Errorf("it is nested too deeply")
	}

	condition, err := p.or(dry)
	if err != nil || !p.take("?") {
		return condition, err
	}
	yes, err := p.ternary(dry || !truthy(condition))
	if err != nil {
		return nil, err
	}
	if err := p.need(":"); err != nil {
		return nil, err
	}
	no, err := p.ternary(dry || truthy(condition))
	if truthy(condition) {
		return yes, err
	}
	return no, err
}

// or is call { "||" call }.
func (p *parser) or(dry bool) (any, error) {
	value, err := p.call(dry)
	for err == nil && p.take("||") {
		var other any
		other, err = p.call(dry || truthy(value))
		if !truthy(value) {
			value = other
		}
	}
	return value, err
}

// call is primary { "." method }.
func (p *parser) call(dry bool) (any, error) {
	value, err := p.primary(dry)
	for err == nil && p.take(".") {
		value, err = p.send(value)
	}
	return value, err
}

// send calls a method on a value.
func (p *parser) send(value any) (any, error) {
	method := p.word()
	if strings.HasPrefix(p.rest, "?") {
		method, p.rest = method+"?", p.rest[1:]
	}
	s, isString := value.(string)
	blank := !truthy(value) || isString && strings.TrimSpace(s) == ""
	switch method {
	case "presence":
		if blank {
			return nil, nil
		}
		return value, nil
	case "present?":
		return !blank, nil
	case "blank?":
		return blank, nil
	case "nil?":
		return value == nil, nil
	case "to_s":
		return toS(value), nil
	case "to_i":
		return toI(value), nil
	}
	return nil, fmt.Errorf("catenary does not know the method %q", method)
}

// primary is a literal, a name that catenary knows, or a ternary in parentheses.
func (p *parser) primary(dry bool) (any, error) {
	p.space()
	switch {
	case p.rest == "":
		return nil, fmt.Errorf("a value is missing")
	case p.rest[0] == '(':
		p.take("(")
		value, err := p.ternary(dry)
		if err == nil {
			err = p.need(")")
		}
		return value, err
	case p.rest[0] == '"':
		return p.doubleQuoted(dry)
	case p.rest[0] == '\'':
		return p.singleQuoted()
	case isDigit(p.rest[0]):
		return p.number()
	}
	switch word := p.word(); word {
	case "nil":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "ENV":
		return p.env(dry)
	case "Rails":
		return p.rails()
	case "OpenSSL":
		for name, value := range map[string]int{"::SSL::VERIFY_NONE": 0, "::SSL::VERIFY_PEER": 1} {
			if p.take(name) {
				return value, nil
			}
		}
		return nil, fmt.Errorf("of OpenSSL catenary knows only SSL::VERIFY_NONE and SSL::VERIFY_PEER")
	case "":
		return nil, unexpected(p.rest)
	default:
		return nil, fmt.Errorf("%s belongs to the application", word)
	}
}

func truthy(value any) bool { return value != nil && value != false }

func toS(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}

// toI is Ruby's to_i: the leading digits as a number, else 0.
func toI(value any) int {
	s := strings.TrimSpace(toS(value))
	n := 0
	for n < len(s) && (isDigit(s[n]) || n == 0 && s[n] == '-') {
		n++
	}
	i, err := strconv.Atoi(s[:n])
	if err != nil {
		return 0
	}
	return i
}
