package erb

import (
	"fmt"
	"strings"
)

// env is ["X"], .fetch("X"), .fetch("X", default) or .fetch("X") { default }.
func (p *parser) env(dry bool) (any, error) {
	if p.take("[") {
		name, err := p.name(dry)
		if err == nil {
			err = p.need("]")
		}
		value, set := p.Variables[name]
		if err != nil || !set {
			return nil, err
		}
		return value, nil
	}
	if !p.take(".fetch") || !strings.HasPrefix(p.rest, "(") {
		return nil, fmt.Errorf("of ENV catenary knows only ENV[…] and ENV.fetch(…)")
	}
	p.take("(")
	name, err := p.name(dry)
	if err != nil {
		return nil, err
	}
	value, set := p.Variables[name]
	var otherwise any
	hasDefault := p.take(",")
	if hasDefault {
		if otherwise, err = p.ternary(dry || set); err != nil {
			return nil, err
		}
	}
	if err := p.need(")"); err != nil {
		return nil, err
	}
	if !hasDefault && p.take("{") {
		hasDefault = true
		if otherwise, err = p.block(dry || set); err != nil {
			return nil, err
		}
	}
	switch {
	case set:
		return value, nil
	case hasDefault || dry:
		return otherwise, nil
	}
	return nil, MissingVariable(name)
}

// block is the rest of "{ default }" or "#{ value }". An empty one gives nil.
func (p *parser) block(dry bool) (any, error) {
	if p.take("}") {
		return nil, nil
	}
	value, err := p.ternary(dry)
	if err == nil {
		err = p.need("}")
	}
	return value, err
}

// name is a string that names a variable.
func (p *parser) name(dry bool) (string, error) {
	p.space()
	if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\'' {
		return "", fmt.Errorf("the name of a variable must be a string")
	}
	name, err := p.primary(dry)
	return toS(name), err
}

// rails is .env or .env.production?.
func (p *parser) rails() (any, error) {
	if !p.take(".env") || strings.HasPrefix(p.rest, "_") {
		return nil, fmt.Errorf("of Rails catenary knows only Rails.env")
	}
	before := p.rest
	if p.take(".") {
		if word := p.word(); word != "" && strings.HasPrefix(p.rest, "?") && word != "present" && word != "blank" && word != "nil" {
			p.rest = p.rest[1:]
			local := p.Environment == "development" || p.Environment == "test"
			return word == p.Environment || word == "local" && local, nil
		}
		p.rest = before
	}
	return p.Environment, nil
}
