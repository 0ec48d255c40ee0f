package audit

import (
	"sort"
	"strings"
)

// maxInterpolation bounds code within strings within code. Deeper code is
// passed over as text.
const maxInterpolation = 50

// A lexer cuts Ruby into tokens, as far as that can be done without knowing
// which words are local variables; where that matters it guesses as Ruby does,
// by the blanks. It never fails: what makes no sense becomes operators.
type lexer struct {
	source  string
	end     int // of what this lexer may read; a heredoc's interpolation ends before the source does
	at      int
	lines   []int // offsets of the lines' beginnings
	resume  int   // where the line after the pending heredocs begins; 0 if there are none
	chain   int   // where the dot is that the last look for one has found
	misses  int   // heredocs that had no end, and so were none
	depth   int   // of interpolations
	tokens  []token
	spaced  bool
	defName bool // the next word is a method's name
}

// lex returns the tokens of a file.
func lex(source string) []token {
	l := &lexer{source: source, end: len(source)}
	l.lines = append(l.lines, 0)
	for i := range len(source) {
		if source[i] == '\n' {
			l.lines = append(l.lines, i+1)
		}
	}
	if strings.HasPrefix(source, "\ufeff") {
		l.at = len("\ufeff")
	}
	if !l.block() {
		l.code(false)
	}
	if l.last().kind != newline {
		l.emit(newline, "\n", l.at)
	}
	return l.tokens
}

func (l *lexer) line(offset int) int {
	return sort.Search(len(l.lines), func(i int) bool { return l.lines[i] > offset })
}

func (l *lexer) peek(ahead int) byte {
	if i := l.at + ahead; i < l.end {
		return l.source[i]
	}
	return 0
}

func (l *lexer) rest() string { return l.source[min(l.at, l.end):l.end] }

func (l *lexer) emit(k kind, text string, offset int) {
	t := token{kind: k, text: text, line: l.line(offset), spaced: l.spaced}
	switch k {
	case operator:
		t.open = text != ")" && text != "]" && text != "}"
	case keyword:
		t.open = !values[text]
	case newline, label:
		t.open = true
	}
	l.tokens = append(l.tokens, t)
	l.spaced = false
}

func (l *lexer) last() token {
	if len(l.tokens) == 0 {
		return token{kind: newline, open: true}
	}
	return l.tokens[len(l.tokens)-1]
}

// value says whether a value begins here, rather than an operator: after an
// operator it must, after a method's name it may if the blanks look like it.
func (l *lexer) value(width int) bool {
	last := l.last()
	if last.kind != identifier {
		return last.open
	}
	next := l.peek(width)
	return l.spaced && next != ' ' && next != '\t' && next != '\n' && next != '='
}

// code reads until the end, or until the } of an interpolation.
func (l *lexer) code(interpolated bool) {
	for braces := 0; l.at < l.end; {
		switch c := l.source[l.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			l.at++
			l.spaced = true
		case c == '\\' && (l.peek(1) == '\n' || l.peek(1) == '\r'):
			l.at += 2
			l.spaced = true
		case c == '\n':
			l.lineEnd()
			if l.block() {
				return
			}
		case c == '#':
			l.comment()
		case interpolated && c == '}' && braces == 0:
			return
		default:
			if c == '{' {
				braces++
			} else if c == '}' && braces > 0 {
				braces--
			}
			l.word(c)
		}
	}
}

// lineEnd ends the statement, unless the line cannot be the whole of it.
func (l *lexer) lineEnd() {
	offset := l.at
	l.at++
	if l.resume > l.at {
		l.at = min(l.resume, l.end)
	}
	l.resume = 0
	last := l.last()
	continued := last.kind == newline || last.kind == operator && last.open || last.kind == label || l.chained()
	if !continued {
		l.emit(newline, "\n", offset)
	}
	l.spaced = true
}

// chained looks whether the next line that is no comment begins with a dot.
func (l *lexer) chained() bool {
	if l.at <= l.chain {
		return true
	}
	rest := l.rest()
	for {
		rest = strings.TrimLeft(rest, " \t\r\n")
		if !strings.HasPrefix(rest, "#") {
			break
		}
		_, after, found := strings.Cut(rest, "\n")
		if !found {
			return false
		}
		rest = after
	}
	chained := strings.HasPrefix(rest, ".") && !strings.HasPrefix(rest, "..") || strings.HasPrefix(rest, "&.")
	if chained {
		l.chain = l.end - len(rest)
	}
	return chained
}

// block passes over =begin … =end. It says whether __END__ ends the code.
func (l *lexer) block() bool {
	rest := l.rest()
	if strings.HasPrefix(rest, "=begin") {
		if i := strings.Index(rest, "\n=end"); i >= 0 {
			l.at += i + len("\n=end")
			l.comment()
		} else {
			l.at = l.end
		}
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimRight(line, "\r") == "__END__"
}

func (l *lexer) comment() {
	if i := strings.IndexByte(l.rest(), '\n'); i >= 0 {
		l.at += i
	} else {
		l.at = l.end
	}
}

func (l *lexer) word(c byte) {
	switch {
	case c >= '0' && c <= '9':
		l.number()
	case letter(c):
		l.name()
	case c == '@' || c == '$':
		l.variable()
	case c == '"' || c == '`' || c == '\'':
		if c == '`' && (l.defName || l.last().is(operator, ".")) {
			l.operator()
		} else {
			l.quoted()
		}
	case c == ':':
		l.colon()
	case c == '/' && !l.defName && l.value(1):
		l.delimited(pattern, "/", 1, true)
	case c == '%' && !l.defName && l.value(1) && l.percent():
	case c == '<' && !l.defName && l.heredoc():
	case c == '?' && l.value(1) && l.character():
	case c == ';':
		l.emit(newline, ";", l.at)
		l.at++
	default:
		l.operator()
	}
}
