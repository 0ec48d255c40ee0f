package audit

import "strings"

// A class is a class or module with all of the places where it is written, and
// with what it takes from others.
type class struct {
	name       string
	module     bool
	superclass string // as written
	parts      []part
	includes   []string // as written
}

// A part is one body of a class.
type part struct {
	*source
	scope *scope
}

// Where a class comes from that the application does not have.
const (
	channelBase    = "ActionCable::Channel::Base"
	connectionBase = "ActionCable::Connection::Base"
)

// each calls visit for the tokens of a part's own code, not for those of
// classes within it.
func (p part) each(visit func(i int)) {
	for i := p.scope.first; i < p.scope.last; i++ {
		if p.within[i].module() == p.scope {
			visit(i)
		}
	}
}

// included are the modules that the body names in include and prepend.
func (p part) included() []string {
	var names []string
	p.each(func(i int) {
		if t := p.tokens[i]; t.kind != identifier || t.text != "include" && t.text != "prepend" || p.within[i].keyword == "def" || p.receiver(i) != "self" {
			return
		}
		for _, argument := range p.call(i).positional {
			if name, next := p.constantAt(argument.first); name != "" && next == argument.last {
				names = append(names, name)
			}
		}
	})
	return names
}

// methods are the instance methods that the class itself defines.
func (c *class) methods() map[string]place {
	found := map[string]place{}
	for _, p := range c.parts {
		for _, s := range p.scopes {
			if s.keyword == "def" && s.instance() && s.module() == p.scope {
				found[s.name] = place{p.path, s.line}
			}
		}
	}
	return found
}

// enclosing are the modules around a class, the innermost first, as Ruby looks
// constants up there.
func enclosing(name string) []string {
	var around []string
	for i := strings.LastIndex(name, "::"); i >= 0; i = strings.LastIndex(name, "::") {
		name = name[:i]
		around = append(around, name)
	}
	return around
}
