package audit

import "strings"

// quoted reads "…", '…' or `…`, and "…": as a label.
func (l *lexer) quoted() {
	quote := l.source[l.at]
	first := len(l.tokens)
	l.delimited(text, string(quote), 1, quote != '\'')
	if last := l.last(); quote != '`' && l.peek(0) == ':' && l.peek(1) != ':' && (last.kind == text || last.is(operator, "}")) && !l.ternary(first) {
		l.tokens[first].kind, l.tokens[first].open = label, true
		l.at++
	}
}

// ternary says whether the token at i stands behind the ? of a condition.
func (l *lexer) ternary(i int) bool { return i > 0 && l.tokens[i-1].is(operator, "?") }

var closers = map[byte]byte{'(': ')', '[': ']', '{': '}', '<': '>'}

// percent reads %w[…], %(…) and their like. It says whether there was one.
func (l *lexer) percent() bool {
	k, interpolated, width := text, true, 1
	if c := l.peek(1); strings.IndexByte("qQwWiIrsx", c) >= 0 && c != 0 {
		width = 2
		interpolated = c != 'q' && c != 'w' && c != 'i' && c != 's'
		switch c {
		case 'w', 'W', 'i', 'I':
			k = words
		case 'r':
			k = pattern
		case 's':
			k = symbol
		}
	}
	if c := l.peek(width); c <= ' ' || wordByte(c) || width == 1 && c == '=' && l.last().kind == identifier {
		return false
	}
	l.delimited(k, l.source[l.at+width:l.at+width+1], width+1, interpolated)
	return true
}

// delimited reads a literal whose opening is width bytes and ends with open,
// up to the byte that closes it. Without one it goes to the end.
func (l *lexer) delimited(k kind, open string, width int, interpolated bool) {
	start := l.at
	opener := open[0]
	closer, nests := closers[opener]
	if !nests {
		closer = opener
	}
	l.at = min(l.at+width, l.end)
	l.emit(k, "", start)
	own := len(l.tokens) - 1
	var content strings.Builder
	for depth := 0; l.at < l.end; {
		c := l.source[l.at]
		switch {
		case c == '\\':
			content.WriteString(l.source[l.at:min(l.at+2, l.end)])
			l.at = min(l.at+2, l.end)
			continue
		case c == '#' && l.peek(1) == '{' && interpolated && l.depth < maxInterpolation:
			l.interpolation()
			continue
		case c == closer && depth == 0:
			l.at++
			l.close(own, content.String())
			if k == pattern {
				for strings.IndexByte("imxounse", l.peek(0)) >= 0 && l.peek(0) != 0 {
					l.at++
				}
			}
			return
		case nests && c == opener:
			depth++
		case nests && c == closer:
			depth--
		case c == '\n' && l.resume > l.at: // the text of a heredoc that began on this line
			l.at = min(l.resume, l.end)
			l.resume = 0
			continue
		}
		content.WriteByte(c)
		l.at++
	}
	l.close(own, content.String())
}

func (l *lexer) close(i int, content string) {
	l.tokens[i].text = content
	l.tokens[i].open = false
}

// interpolation reads #{…} as code.
func (l *lexer) interpolation() {
	l.emit(operator, "#{", l.at)
	l.at += 2
	l.depth++
	outer := l.defName
	l.defName = false
	l.code(true)
	l.defName = outer
	l.depth--
	l.emit(operator, "}", l.at)
	l.at = min(l.at+1, l.end)
}

// maxMisses bounds the searches for the ends of what looked like heredocs.
const maxMisses = 100

// heredoc reads <<~NAME with its text, which begins on the next line. It says
// whether there was one.
func (l *lexer) heredoc() bool {
	rest := l.rest()
	if !strings.HasPrefix(rest, "<<") || l.last().is(keyword, "class") || l.misses > maxMisses {
		return false
	}
	head := rest[2:]
	squiggly := strings.HasPrefix(head, "~") || strings.HasPrefix(head, "-")
	if squiggly {
		head = head[1:]
	}
	name, quote := heredocName(head)
	if name == "" || !l.value(2) && !(squiggly && l.last().kind == identifier) {
		return false
	}
	width := len(rest) - len(head) + len(name)
	if quote != 0 {
		width += 2
	}
	bodyStart := l.resume
	if bodyStart <= l.at {
		i := strings.IndexByte(rest, '\n')
		if i < 0 {
			return false
		}
		bodyStart = l.at + i + 1
	}
	bodyEnd, after := heredocBody(l.source[min(bodyStart, l.end):l.end], name, squiggly)
	if after < 0 {
		l.misses++
		return false
	}
	start := l.at
	l.emit(text, "", start)
	own := len(l.tokens) - 1
	l.close(own, l.heredocText(bodyStart, bodyStart+bodyEnd, quote != '\''))
	l.at = start + width
	l.resume = bodyStart + after
	return true
}

// heredocText collects the text between two offsets, and the tokens of its
// interpolations.
func (l *lexer) heredocText(start, end int, interpolated bool) string {
	outerEnd, outerResume := l.end, l.resume
	defer func() { l.end, l.resume = outerEnd, outerResume }()
	l.at, l.end, l.resume = start, end, 0
	var content strings.Builder
	for l.at < l.end {
		c := l.source[l.at]
		switch {
		case c == '\\' && interpolated:
			content.WriteString(l.source[l.at:min(l.at+2, l.end)])
			l.at = min(l.at+2, l.end)
		case c == '#' && l.peek(1) == '{' && interpolated && l.depth < maxInterpolation:
			l.interpolation()
		default:
			content.WriteByte(c)
			l.at++
		}
	}
	return content.String()
}

// heredocName reads NAME, "NAME" or 'NAME'.
func heredocName(head string) (name string, quote byte) {
	if head == "" {
		return "", 0
	}
	if q := head[0]; q == '"' || q == '\'' || q == '`' {
		inner, _, found := strings.Cut(head[1:], string(q))
		if !found || strings.Contains(inner, "\n") {
			return "", 0
		}
		return inner, q
	}
	n := 0
	for n < len(head) && wordByte(head[n]) {
		n++
	}
	if n == 0 || head[0] >= '0' && head[0] <= '9' {
		return "", 0
	}
	return head[:n], 0
}

// heredocBody finds the line with the name. It returns where the text ends and
// where the code goes on, which is negative if there is no such line.
func heredocBody(rest, name string, indented bool) (end, after int) {
	for at := 0; at < len(rest); {
		line, _, more := strings.Cut(rest[at:], "\n")
		next := at + len(line)
		if more {
			next++
		}
		line = strings.TrimRight(line, "\r")
		if indented {
			line = strings.TrimLeft(line, " \t")
		}
		if line == name {
			return at, next
		}
		at = next
	}
	return 0, -1
}
