package audit

// assignment reads @name = value, @name ||= value or self.name = value at i.
func (s *source) assignment(i int, writers map[string]bool) (name string, value span) {
	t := s.tokens[i]
	equals := i + 1
	switch {
	case t.kind == variable:
		name = t.text
	case t.is(keyword, "self") && s.at(i+1).is(operator, ".") && s.at(i+2).kind == identifier && writers[s.at(i+2).text]:
		name, equals = "@"+s.at(i+2).text, i+3
	default:
		return "", span{}
	}
	if s.at(equals).is(operator, ",") || s.at(i-1).is(operator, ",") && s.at(i-2).kind == variable {
		return s.parallel(i, name)
	}
	if o := s.at(equals); o.kind != operator || o.text != "=" && o.text != "||=" && o.text != "&&=" {
		return "", span{}
	}
	return name, span{equals + 1, s.expression(equals+1, true)}
}

// parallel reads the value that @a gets in @a, @b = x, y. The later ones are
// given theirs by position as well.
func (s *source) parallel(i int, name string) (string, span) {
	equals := i
	for s.at(equals).kind == variable && s.at(equals+1).is(operator, ",") {
		equals += 2
	}
	if !s.at(equals+1).is(operator, "=") {
		return "", span{}
	}
	var values call
	values.arguments(s, equals+2, s.expression(equals+2, true))
	position := 0
	for first := i; s.at(first-1).is(operator, ",") && s.at(first-2).kind == variable; first -= 2 {
		position++
	}
	if position >= len(values.positional) {
		return "", span{}
	}
	return name, values.positional[position]
}
