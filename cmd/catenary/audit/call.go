package audit

// A span is an expression: tokens from first, before last.
type span struct{ first, last int }

// A call is a method with its arguments.
type call struct {
	positional []span
	labels     map[string]span
	block      bool // do …, {…} or &block
	splat      bool // *a or **o: there may be more arguments than can be seen
}

// call reads the arguments behind the method at i.
func (s *source) call(i int) call {
	c := call{labels: map[string]span{}}
	next := i + 1
	if s.at(next).is(operator, "(") && !s.at(next).spaced {
		closing := s.match[next]
		c.arguments(s, next+1, closing)
		next = closing + 1
	} else if t := s.at(next); t.kind != newline && !t.is(operator, "{") && !t.is(keyword, "do") && t.kind != operator || t.is(operator, "->") || t.is(operator, "[") && t.spaced || t.is(operator, "&") || t.is(operator, "*") || t.is(operator, "::") {
		last := s.expression(next, false)
		c.arguments(s, next, last)
		next = last
	}
	if t := s.at(next); t.is(operator, "{") || t.is(keyword, "do") {
		c.block = true
	}
	return c
}

// arguments parts a list at its commas.
func (c *call) arguments(s *source, first, last int) {
	for first < last {
		end := first
		for end < last && !s.tokens[end].is(operator, ",") {
			end = max(end, s.match[end]) + 1
		}
		c.argument(s, span{first, min(end, last)})
		first = end + 1
	}
}

func (c *call) argument(s *source, a span) {
	switch t := s.at(a.first); {
	case a.first >= a.last:
	case t.kind == label:
		c.labels[t.text] = span{a.first + 1, a.last}
	case t.is(operator, "&"):
		c.block = true
	case t.is(operator, "*") || t.is(operator, "**"):
		c.splat = true
	case t.kind == symbol && s.at(a.first+1).is(operator, "=>"):
		c.labels[t.text] = span{a.first + 2, a.last}
	default:
		c.positional = append(c.positional, a)
	}
}

// expression finds the end of what begins at i: a newline, a modifier, or what
// closes something that opened before. A do is part of it only if wanted.
func (s *source) expression(i int, do bool) int {
	for first := i; i < len(s.tokens); i++ {
		t := s.tokens[i]
		if s.match[i] > i && (do || !t.is(keyword, "do")) {
			i = s.match[i]
			continue
		}
		switch {
		case t.kind == newline, t.is(operator, ")"), t.is(operator, "]"), t.is(operator, "}"):
			return i
		case t.kind == keyword && i > first:
			switch t.text {
			case "if", "unless", "while", "until", "rescue", "do", "end", "then", "and", "or":
				return i
			}
		}
	}
	return i
}

// alternatives are the values that an expression may have: both sides of ||,
// of && and of a condition.
func (s *source) alternatives(e span) []span {
	var found []span
	first := e.first
	for i := e.first; i < e.last; i++ {
		t := s.tokens[i]
		if t.kind == operator && (t.text == "||" || t.text == "&&" || t.text == "?" || t.text == ":") {
			found = append(found, span{first, i})
			first = i + 1
		}
		i = max(i, s.match[i])
	}
	return append(found, span{first, e.last})
}

// text is an expression as it could have been written.
func (s *source) text(e span) string {
	var b []byte
	for i := e.first; i < e.last && len(b) < 60; i++ {
		if i > e.first && s.tokens[i].spaced {
			b = append(b, ' ')
		}
		if s.tokens[i].kind == symbol {
			b = append(b, ':')
		}
		b = append(b, s.tokens[i].text...)
	}
	return string(b)
}

// spells says whether these tokens stand at i; &. is as good as a dot.
func (s *source) spells(i int, words ...string) bool {
	for n, word := range words {
		t := s.at(i + n)
		if t.kind == text || t.kind == symbol || t.text != word && !(word == "." && t.text == "&.") {
			return false
		}
	}
	return true
}

// receiver is the word in front of the dot before i, "self" without a dot, and
// "" if it is something longer.
func (s *source) receiver(i int) string {
	if dot := s.at(i - 1); !dot.is(operator, ".") && !dot.is(operator, "&.") {
		return "self"
	}
	if t := s.at(i - 2); t.kind == identifier || t.kind == constant || t.kind == variable || t.is(keyword, "self") {
		return t.text
	}
	return ""
}
