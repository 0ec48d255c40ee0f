package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// UnresolvedERBError is an expression that only Ruby can evaluate. Whoever can
// ask the application may do so and load again with [Input.FromRails].
type UnresolvedERBError struct {
	File       string
	Line       int
	Expression string
	// Reason says what is wrong with it.
	Reason string
}

func (e *UnresolvedERBError) Error() string {
	return fmt.Sprintf("%s:%d: cannot evaluate <%%%s%%> without Ruby: %s; set the key in config/catenary.yml, or let the gem catenary-rails tell it",
		e.File, e.Line, e.Expression, e.Reason)
}

// rubyLiteral is a text in Ruby source, ended or not.
var rubyLiteral = regexp.MustCompile(`(?s)"[^"]*"?|'[^']*'?`)

// unresolved keeps literals out of the message, for one may be a password. Only
// those that can be the name of a variable are shown.
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
	return &UnresolvedERBError{file, line, hide(expression), reason}
}

// MissingVariableError is ENV.fetch without a default, and without the variable.
type MissingVariableError struct {
	File     string
	Line     int
	Variable string
}

func (e *MissingVariableError) Error() string {
	return fmt.Sprintf("%s:%d: ENV.fetch(%q) has no default, and %s is not set: set it for catenary as for Rails", e.File, e.Line, e.Variable, e.Variable)
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

// env is ["X"], .fetch("X"), .fetch("X", default) or .fetch("X") { default }.
func (r *ruby) env(dry bool) (any, error) {
	if r.take("[") {
		name, err := r.name(dry)
		if err == nil {
			err = r.need("]")
		}
		value, set := r.variables[name]
		if err != nil || !set {
			return nil, err
		}
		return value, nil
	}
	if !r.take(".fetch") || !strings.HasPrefix(r.rest, "(") {
		return nil, fmt.Errorf("of ENV only ENV[…] and ENV.fetch(…) are known")
	}
	r.take("(")
	name, err := r.name(dry)
	if err != nil {
		return nil, err
	}
	value, set := r.variables[name]
	var otherwise any
	hasDefault := r.take(",")
	if hasDefault {
		if otherwise, err = r.ternary(dry || set); err != nil {
			return nil, err
		}
	}
	if err := r.need(")"); err != nil {
		return nil, err
	}
	if !hasDefault && r.take("{") {
		hasDefault = true
		if otherwise, err = r.block(dry || set); err != nil {
			return nil, err
		}
	}
	switch {
	case set:
		return value, nil
	case hasDefault || dry:
		return otherwise, nil
	}
	return nil, missingVariable(name)
}

// block is the rest of "{ default }"; an empty one gives nil.
func (r *ruby) block(dry bool) (any, error) {
	if r.take("}") {
		return nil, nil
	}
	value, err := r.ternary(dry)
	if err == nil {
		err = r.need("}")
	}
	return value, err
}

// name is a literal that names a variable.
func (r *ruby) name(dry bool) (string, error) {
	if r.space(); r.rest == "" || r.rest[0] != '"' && r.rest[0] != '\'' {
		return "", fmt.Errorf("the name of a variable must be a literal")
	}
	name, err := r.primary(dry)
	return toS(name), err
}

// rails is .env or .env.production?.
func (r *ruby) rails() (any, error) {
	if !r.take(".env") || strings.HasPrefix(r.rest, "_") {
		return nil, fmt.Errorf("of Rails only Rails.env is known")
	}
	before := r.rest
	if r.take(".") {
		if word := r.word(); word != "" && strings.HasPrefix(r.rest, "?") && word != "present" && word != "blank" && word != "nil" {
			r.rest = r.rest[1:]
			local := r.environment == "development" || r.environment == "test"
			return word == r.environment || word == "local" && local, nil
		}
		r.rest = before
	}
	return r.environment, nil
}

func (r *ruby) word() string {
	r.space()
	n := 0
	for n < len(r.rest) && (r.rest[n] == '_' || r.rest[n]|0x20 >= 'a' && r.rest[n]|0x20 <= 'z' || n > 0 && r.rest[n] >= '0' && r.rest[n] <= '9') {
		n++
	}
	word := r.rest[:n]
	r.rest = r.rest[n:]
	return word
}

func (r *ruby) number() (any, error) {
	n := 0
	for n < len(r.rest) && r.rest[n] >= '0' && r.rest[n] <= '9' {
		n++
	}
	digits := r.rest[:n]
	value, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		return nil, fmt.Errorf("the number %s is beyond what catenary reads", digits)
	}
	r.rest = r.rest[n:]
	return value, nil
}

func (r *ruby) singleQuoted() (any, error) {
	var out strings.Builder
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '\'':
			r.rest = r.rest[i+1:]
			return out.String(), nil
		case c == '\\' && i+1 < len(r.rest) && (r.rest[i+1] == '\'' || r.rest[i+1] == '\\'):
			i++
			out.WriteByte(r.rest[i])
		default:
			out.WriteByte(c)
		}
	}
	return nil, fmt.Errorf("a text does not end")
}

func (r *ruby) doubleQuoted(dry bool) (any, error) {
	r.rest = r.rest[1:]
	var out strings.Builder
	for r.rest != "" {
		switch {
		case r.rest[0] == '"':
			r.rest = r.rest[1:]
			return out.String(), nil
		case strings.HasPrefix(r.rest, "#{"):
			r.rest = r.rest[2:]
			value, err := r.block(dry)
			if err != nil {
				return nil, err
			}
			out.WriteString(toS(value))
			continue
		case r.rest[0] == '\\':
			if len(r.rest) < 2 || !strings.ContainsRune(`"\#`, rune(r.rest[1])) {
				return nil, fmt.Errorf("the text has an escape that is beyond what catenary reads")
			}
			r.rest = r.rest[1:]
		}
		out.WriteByte(r.rest[0])
		r.rest = r.rest[1:]
	}
	return nil, fmt.Errorf("a text does not end")
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
