package audit

import "strings"

// Bounds against what is no program: tokens of a method's parameters, and of
// all methods without an end of their own, which may stand in each other.
const (
	maxParameters = 1000
	maxWork       = 1_000_000
)

// A source is one file, cut up.
type source struct {
	path   string // relative to the application's root
	tokens []token
	within []*scope // the innermost scope of each token
	match  []int    // of each opening token the closing one; else 0
	scopes []*scope
	broken int // line where the nesting could not be followed; 0 if it could
}

// An opening waits for its closing token.
type opening struct {
	at    int
	outer *scope
	loop  bool // a while, until or for whose do has not come
}

// outline finds the scopes and matches what opens with what closes.
func outline(path, code string) *source {
	s := &source{path: path, tokens: lex(code)}
	s.within, s.match = make([]*scope, len(s.tokens)), make([]int, len(s.tokens))
	current := &scope{last: len(s.tokens)}
	s.scopes = []*scope{current}
	var stack []opening
	var endless []*scope
	push := func(i int, loop bool) { stack = append(stack, opening{at: i, outer: current, loop: loop}) }
	enter := func(i int, inner *scope) {
		inner.parent, inner.line, inner.first, inner.last = current, s.tokens[i].line, i+1, len(s.tokens)
		push(i, false)
		current = inner
		s.scopes = append(s.scopes, inner)
	}
	pop := func(i int) {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		s.match[top.at] = i
		if current != top.outer {
			current.last = i
			current = top.outer
		}
	}
	for i, t := range s.tokens {
		s.within[i] = current
		switch {
		case t.kind == operator && (t.text == "(" || t.text == "[" || t.text == "#{"):
			push(i, false)
		case t.is(operator, "{"):
			if s.blockBrace(i) {
				enter(i, s.block(i))
			} else {
				push(i, false)
			}
		case t.kind == operator && (t.text == ")" || t.text == "]" || t.text == "}"):
			if len(stack) > 0 && closes(s.tokens[stack[len(stack)-1].at], t.text) {
				pop(i)
			} else {
				s.breakAt(t.line)
			}
		case t.kind == newline && len(stack) > 0:
			stack[len(stack)-1].loop = false
		case t.is(keyword, "end"):
			for len(stack) > 0 && s.tokens[stack[len(stack)-1].at].kind == operator {
				s.breakAt(t.line)
				pop(i)
			}
			if len(stack) > 0 {
				pop(i)
			} else {
				s.breakAt(t.line)
			}
		case t.is(keyword, "do") && len(stack) > 0 && stack[len(stack)-1].loop:
			stack[len(stack)-1].loop = false
		case t.is(keyword, "do"):
			enter(i, s.block(i))
		case t.is(keyword, "begin") || t.is(keyword, "case"):
			push(i, false)
		case t.kind == keyword && (t.text == "if" || t.text == "unless"):
			if s.begins(i) {
				push(i, false)
			}
		case t.kind == keyword && (t.text == "while" || t.text == "until" || t.text == "for"):
			if s.begins(i) {
				push(i, true)
			}
		case t.is(keyword, "class") || t.is(keyword, "module"):
			enter(i, s.definition(i))
		case t.is(keyword, "def"):
			if inner, body := s.method(i); body == 0 {
				enter(i, inner)
			} else {
				inner.parent, inner.line, inner.first = current, t.line, body
				endless = append(endless, inner)
			}
		}
	}
	if len(stack) > 0 {
		s.breakAt(s.tokens[stack[0].at].line)
	}
	for len(stack) > 0 {
		pop(len(s.tokens) - 1)
	}
	for work := 0; len(endless) > 0 && work < maxWork; endless = endless[1:] {
		s.insert(endless[0])
		work += endless[0].last - endless[0].first
	}
	return s
}

// insert gives an endless method what is its own of the scope around it.
func (s *source) insert(method *scope) {
	method.last = s.expression(method.first, true)
	for i := method.first; i < method.last; i++ {
		if s.within[i] == method.parent {
			s.within[i] = method
		} else if inner := s.within[i]; inner.parent == method.parent && inner.first > method.first && inner.first <= i {
			inner.parent = method
		}
	}
	s.scopes = append(s.scopes, method)
}

func (s *source) breakAt(line int) {
	if s.broken == 0 {
		s.broken = line
	}
}

func closes(opening token, closing string) bool {
	switch opening.text {
	case "(":
		return closing == ")"
	case "[":
		return closing == "]"
	case "{", "#{":
		return closing == "}"
	}
	return false
}

// at is the token at i, or the end of a statement outside of the file.
func (s *source) at(i int) token {
	if i < 0 || i >= len(s.tokens) {
		return token{kind: newline, open: true}
	}
	return s.tokens[i]
}

// begins says whether if, while and so on open something at i, and are not
// the modifiers of what stands before.
func (s *source) begins(i int) bool {
	last := s.at(i - 1)
	if last.kind == keyword && (last.text == "return" || last.text == "break" || last.text == "next" || last.text == "yield") {
		return false
	}
	return last.open
}

// blockBrace tells the { of a block from the { of a hash.
func (s *source) blockBrace(i int) bool {
	switch last := s.at(i - 1); last.kind {
	case identifier:
		return true
	case operator:
		return last.text == ")" || last.text == "->" || last.text == "]" && s.at(i).spaced
	case keyword:
		return last.text == "super" || last.text == "yield"
	case constant, text, symbol, number, variable, global:
		return true // a hash cannot follow a value
	}
	return false
}

// block finds the method that a block is given to, if it stands right before,
// or before its arguments in parentheses.
func (s *source) block(i int) *scope {
	found := &scope{keyword: "block"}
	method := i - 1
	if s.at(method).is(operator, ")") {
		for first := max(0, i-maxParameters); method > first && s.match[method] != i-1; {
			method--
		}
		method--
	}
	if t := s.at(method); t.kind == identifier {
		found.name, found.call = t.text, method
	}
	return found
}

// definition reads the head of a class or module.
func (s *source) definition(i int) *scope {
	found := &scope{keyword: s.tokens[i].text}
	if s.at(i+1).is(operator, "<<") {
		found.keyword = "class <<"
		return found
	}
	name, next := s.constantAt(i + 1)
	found.name = name
	if s.at(next).is(operator, "<") {
		found.superclass, _ = s.constantAt(next + 1)
		if found.superclass == "" {
			found.superclass = "?" // an expression
		}
	}
	return found
}

// method reads the head of a method. Of an endless one, def name = value, which
// has no end of its own, body is where the value begins; else 0.
func (s *source) method(i int) (found *scope, body int) {
	found = &scope{keyword: "def", name: s.at(i + 1).text}
	next := i + 2
	if s.at(next).is(operator, ".") {
		found.name, found.singleton = s.at(next+1).text, true
		next += 2
	}
	if s.at(next).is(operator, "(") {
		for depth, end := 0, min(len(s.tokens), next+maxParameters); next < end; next++ {
			if t := s.tokens[next]; t.is(operator, "(") {
				depth++
			} else if t.is(operator, ")") {
				if depth--; depth == 0 {
					next++
					break
				}
			}
		}
	}
	if s.at(next).is(operator, "=") {
		return found, next + 1
	}
	return found, 0
}

// constantAt reads A::B from i on. It returns the name, without :: in front,
// and the index behind it.
func (s *source) constantAt(i int) (string, int) {
	var parts []string
	if s.at(i).is(operator, "::") {
		i++
	}
	for s.at(i).kind == constant {
		parts = append(parts, s.at(i).text)
		if i++; !s.at(i).is(operator, "::") || s.at(i+1).kind != constant {
			break
		}
		i++
	}
	return strings.Join(parts, "::"), i
}
