package config

import (
	"fmt"
	"strings"
)

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
