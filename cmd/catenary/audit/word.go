package audit

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func letter(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= utf8.RuneSelf
}

func wordByte(c byte) bool { return letter(c) || c >= '0' && c <= '9' }

func (l *lexer) number() {
	start := l.at
	for l.at < l.end {
		c := l.source[l.at]
		exponent := (c == '+' || c == '-') && (l.source[l.at-1] == 'e' || l.source[l.at-1] == 'E') && !strings.HasPrefix(l.source[start:l.at], "0x")
		fraction := c == '.' && l.peek(1) >= '0' && l.peek(1) <= '9'
		if !wordByte(c) && !fraction && !exponent {
			break
		}
		l.at++
	}
	l.emit(number, l.source[start:l.at], start)
}

// name reads a word: a keyword, a constant, a method, or a label.
func (l *lexer) name() {
	start := l.at
	for l.at < l.end && wordByte(l.source[l.at]) {
		l.at++
	}
	if c := l.peek(0); (c == '?' || c == '!') && (l.peek(1) != '=' || l.peek(2) == '=' || l.peek(2) == '~') {
		l.at++
	}
	word := l.source[start:l.at]
	last := l.last()
	method := last.is(operator, ".") || last.is(operator, "&.") || l.defName
	first, _ := utf8.DecodeRuneInString(word)
	named := l.defName
	l.defName = false
	switch {
	case !named && l.peek(0) == ':' && l.peek(1) != ':' && !last.is(operator, "?"):
		l.emit(label, word, start)
		l.at++
	case named && l.peek(0) == '.': // def self.name
		l.emit(identifier, word, start)
		l.at++
		l.emit(operator, ".", l.at-1)
		l.defName = true
	case named && l.setter():
		l.at++
		l.emit(identifier, word+"=", start)
	case keywords[word] && !method:
		l.emit(keyword, word, start)
		l.defName = word == "def"
	case unicode.IsUpper(first) && !named:
		l.emit(constant, word, start)
	default:
		l.emit(identifier, word, start)
	}
}

// setter looks for the = of def name=(value).
func (l *lexer) setter() bool {
	after := strings.TrimLeft(strings.TrimPrefix(l.rest(), "="), " ")
	return l.peek(0) == '=' && (strings.HasPrefix(after, "(") || after != "" && letter(after[0]) && l.peek(1) == ' ')
}

func (l *lexer) variable() {
	start, k := l.at, variable
	switch {
	case strings.HasPrefix(l.rest(), "@@"):
		l.at++
		k = global
	case l.source[l.at] == '$':
		k = global
	}
	l.at++
	if k == global && l.at < l.end && !wordByte(l.source[l.at]) && l.source[l.at] > ' ' {
		l.at++ // $! and the like
		if l.source[l.at-1] == '-' && wordByte(l.peek(0)) {
			l.at++
		}
	} else {
		for l.at < l.end && wordByte(l.source[l.at]) {
			l.at++
		}
	}
	l.emit(k, l.source[start:l.at], start)
}

// colon reads :symbol, :"symbol", :[]=, the operator :: or a lone colon.
func (l *lexer) colon() {
	start := l.at
	next := l.peek(1)
	switch {
	case next == ':':
		l.operator()
	case next == '"' || next == '\'':
		l.at++
		l.delimited(symbol, string(next), 1, next == '"')
	case wordByte(next) && (next < '0' || next > '9') || next == '@' || next == '$':
		for l.at++; l.at < l.end && (wordByte(l.source[l.at]) || l.source[l.at] == '@' || l.source[l.at] == '$'); {
			l.at++
		}
		if c := l.peek(0); (c == '?' || c == '!' || c == '=') && l.peek(1) != '=' && l.peek(1) != '>' && l.peek(1) != '~' {
			l.at++
		}
		l.emit(symbol, l.source[start+1:l.at], start)
	case l.value(1) && next != 0 && strings.IndexByte("+-*/%<>=!~^&|[`", next) >= 0:
		l.at++
		n := operatorLength(l.rest())
		for _, whole := range []string{"[]=", "[]"} {
			if strings.HasPrefix(l.rest(), whole) {
				n = len(whole)
				break
			}
		}
		l.at += n
		l.emit(symbol, l.source[start+1:l.at], start)
	default:
		l.operator()
	}
}

// character reads ?x.
func (l *lexer) character() bool {
	r, width := utf8.DecodeRuneInString(l.rest()[1:])
	if width == 0 || unicode.IsSpace(r) {
		return false
	}
	if r == '\\' && l.peek(2) != 0 {
		width = 2
	}
	if wordByte(l.peek(1 + width)) {
		return false
	}
	l.emit(text, l.source[l.at+1:l.at+1+width], l.at)
	l.at += 1 + width
	return true
}

// operators of more than one byte, the longest first.
var operators = []string{
	"<=>", "===", "...", "**=", "<<=", ">>=", "&&=", "||=", "&.",
	"::", "==", "!=", "=~", "!~", "=>", "->", "<=", ">=", "<<", ">>", "&&", "||", "..", "**", "+=", "-=", "*=", "/=", "%=", "|=", "&=", "^=",
}

func operatorLength(rest string) int {
	for _, o := range operators {
		if strings.HasPrefix(rest, o) {
			return len(o)
		}
	}
	return 1
}

func (l *lexer) operator() {
	n := min(operatorLength(l.rest()), l.end-l.at)
	if l.defName {
		for _, whole := range []string{"[]=", "[]", "+@", "-@"} {
			if strings.HasPrefix(l.rest(), whole) {
				n = len(whole)
				break
			}
		}
	}
	l.emit(operator, l.source[l.at:l.at+n], l.at)
	l.at += n
	if l.defName { // def <=>(other): no value follows the name
		l.defName = false
		l.tokens[len(l.tokens)-1].kind = identifier
		l.tokens[len(l.tokens)-1].open = false
	}
}
