package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ruby is one expression while it is read. Everything takes dry, which says
// to parse a branch that is not taken: its missing variables do not matter.
type ruby struct {
	evaluator
	rest  string
	depth int
}

func (r *ruby) space() { r.rest = strings.TrimLeft(r.rest, " \t\r\n") }

// take drops a token from the front if it stands there.
func (r *ruby) take(token string) bool {
	r.space()
	rest, ok := strings.CutPrefix(r.rest, token)
	if ok {
		r.rest = rest
	}
	return ok
}

func (r *ruby) need(token string) error {
	if !r.take(token) {
		return fmt.Errorf("%q is missing", token)
	}
	return nil
}

// ternary is or [ "?" ternary ":" ternary ].
func (r *ruby) ternary(dry bool) (any, error) {
	if r.depth++; r.depth > rubyDepth {
		return nil, fmt.Errorf("it is nested too deeply")
	}
	defer func() { r.depth-- }()

	condition, err := r.or(dry)
	if err != nil || !r.take("?") {
		return condition, err
	}
	yes, err := r.ternary(dry || !truthy(condition))
	if err != nil {
		return nil, err
	}
	if err := r.need(":"); err != nil {
		return nil, err
	}
	no, err := r.ternary(dry || truthy(condition))
	if truthy(condition) {
		return yes, err
	}
	return no, err
}

// or is call { "||" call }.
func (r *ruby) or(dry bool) (any, error) {
	value, err := r.call(dry)
	for err == nil && r.take("||") {
		var other any
		if other, err = r.call(dry || truthy(value)); !truthy(value) {
			value = other
		}
	}
	return value, err
}

// call is primary { "." method }.
func (r *ruby) call(dry bool) (any, error) {
	value, err := r.primary(dry)
	for err == nil && r.take(".") {
		value, err = r.send(value)
	}
	return value, err
}

func (r *ruby) send(value any) (any, error) {
	method := r.word()
	if strings.HasPrefix(r.rest, "?") {
		method, r.rest = method+"?", r.rest[1:]
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
	return nil, fmt.Errorf("the method %q is beyond what catenary reads", method)
}

func (r *ruby) primary(dry bool) (any, error) {
	r.space()
	switch {
	case r.rest == "":
		return nil, fmt.Errorf("a value is missing")
	case r.rest[0] == '(':
		r.take("(")
		value, err := r.ternary(dry)
		if err == nil {
			err = r.need(")")
		}
		return value, err
	case r.rest[0] == '"':
		return r.doubleQuoted(dry)
	case r.rest[0] == '\'':
		return r.singleQuoted()
	case r.rest[0] >= '0' && r.rest[0] <= '9':
		return r.number()
	}
	switch word := r.word(); word {
	case "nil":
		return nil, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "ENV":
		return r.env(dry)
	case "Rails":
		return r.rails()
	case "OpenSSL":
		for name, value := range map[string]int{"::SSL::VERIFY_NONE": 0, "::SSL::VERIFY_PEER": 1} {
			if r.take(name) {
				return value, nil
			}
		}
		return nil, fmt.Errorf("of OpenSSL only SSL::VERIFY_NONE and SSL::VERIFY_PEER are known")
	case "":
		return nil, fmt.Errorf("catenary reads no %q there", r.rest[:1])
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

// toI is Ruby's to_i: the digits in front, else 0.
func toI(value any) int {
	s := strings.TrimSpace(toS(value))
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || n == 0 && s[n] == '-') {
		n++
	}
	i, err := strconv.Atoi(s[:n])
	if err != nil {
		return 0
	}
	return i
}
