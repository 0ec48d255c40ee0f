package audit

import "strings"

// classState finds what a channel counts or collects in its class, that is in
// one Rails process. Once that process is gone, others see its browsers leave
// whom they have not seen come.
func classState(s subject) []Finding {
	var found []Finding
	named := map[string]bool{}
	s.each(func(p part, i int) {
		name := p.tokens[i].text
		if named[name] || !p.belongsToClass(i) {
			return
		}
		value := ""
		switch next := p.at(i + 1); {
		case next.is(operator, "=") || next.is(operator, "||="):
			value = p.collects(span{i + 2, p.expression(i+2, true)}, p.tokens[i].kind == constant)
		case next.is(operator, "+=") || next.is(operator, "-="):
			value = "a count"
		}
		if value != "" {
			named[name] = true
			found = append(found, p.finding("class state", i, Plain, name+" = "+value,
				"is in one Rails process; when that restarts, its browsers stay, and a process that has not counted them counts them off",
				"change: keep it where all processes see it, or backend.restart: reconnect, with which browsers come back as natively"))
		}
	})
	return found
}

// belongsToClass says whether the token at i is a variable of the class: @@a
// anywhere, A and @a outside of what runs on its objects.
func (p part) belongsToClass(i int) bool {
	switch t := p.tokens[i]; t.kind {
	case global:
		return strings.HasPrefix(t.text, "@@")
	case constant, variable:
		return !p.within[i].instance() && !p.at(i-1).is(operator, "::")
	}
	return false
}

// collects says what a value is that something can be counted or collected in;
// a number that is no constant can, too.
func (p part) collects(value span, fixed bool) string {
	first := p.at(value.first)
	empty := p.match[value.first] == value.first+1 && value.last == value.first+2
	switch {
	case first.is(operator, "{") && empty:
		return "a Hash"
	case first.is(operator, "[") && empty:
		return "an Array"
	case first.kind == number && value.last == value.first+1 && !fixed:
		return "a count"
	}
	name, next := p.constantAt(value.first)
	if !p.spells(next, ".", "new") || !p.ends(next+1, value) {
		return ""
	}
	if name == "Hash" || name == "Set" || strings.HasPrefix(name, "Concurrent::") {
		return "a " + name
	}
	return ""
}
