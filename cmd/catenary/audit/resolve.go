package audit

import (
	"slices"
	"strings"
	"unicode"
)

// resolve finds a class as code within the class from would name it: among
// what has been read, then by file name.
func (a *application) resolve(name, from string) *class {
	for _, candidate := range candidates(name, from) {
		if c := a.classes[candidate]; c != nil {
			return c
		}
		if path := a.byPath[underscore(candidate)]; path != "" && a.read[path] == nil {
			if code, ok := a.contents(path); ok {
				a.outline(path, code)
			}
			if c := a.classes[candidate]; c != nil {
				return c
			}
		}
	}
	return nil
}

func candidates(name, from string) []string {
	list := []string{from + "::" + name}
	for _, around := range enclosing(from) {
		list = append(list, around+"::"+name)
	}
	return append(list, name)
}

// lineage is the class and all that it takes from: superclasses, and the
// modules of each. missing are those that the application does not have.
func (a *application) lineage(c *class) (line []*class, missing []string) {
	seen := map[*class]bool{}
	var take func(c *class)
	take = func(c *class) {
		if seen[c] {
			return
		}
		seen[c] = true
		line = append(line, c)
		names := c.includes
		if c.superclass != "" {
			names = append(slices.Clone(names), c.superclass)
		}
		for _, name := range names {
			if other := a.resolve(name, c.name); other != nil {
				take(other)
			} else {
				missing = append(missing, name)
			}
		}
	}
	take(c)
	return line, missing
}

// underscore is ActiveSupport's.
func underscore(name string) string {
	var b strings.Builder
	runes := []rune(strings.ReplaceAll(name, "::", "/"))
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && runes[i-1] != '/' {
			last, next := runes[i-1], rune(0)
			if i+1 < len(runes) {
				next = runes[i+1]
			}
			if unicode.IsLower(last) || unicode.IsDigit(last) || unicode.IsUpper(last) && unicode.IsLower(next) {
				b.WriteByte('_')
			}
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
