package erb

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

var errUnclosed = errors.New("a string is not closed")

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// word reads a name of letters, digits and underscores, or "".
func (p *parser) word() string {
	p.space()
	n := 0
	for n < len(p.rest) && (isLetter(p.rest[n]) || n > 0 && isDigit(p.rest[n])) {
		n++
	}
	word := p.rest[:n]
	p.rest = p.rest[n:]
	return word
}

// number reads a whole number, but none that Ruby reads as octal.
func (p *parser) number() (any, error) {
	n := 0
	for n < len(p.rest) && isDigit(p.rest[n]) {
		n++
	}
	digits := p.rest[:n]
	value, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		return nil, fmt.Errorf("catenary does not understand the number %s", digits)
	}
	p.rest = p.rest[n:]
	return value, nil
}

// singleQuoted reads a string without interpolation.
func (p *parser) singleQuoted() (any, error) {
	var out strings.Builder
	for i := 1; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '\'':
			p.rest = p.rest[i+1:]
			return out.String(), nil
		case c == '\\' && i+1 < len(p.rest) && (p.rest[i+1] == '\'' || p.rest[i+1] == '\\'):
			i++
			out.WriteByte(p.rest[i])
		default:
			out.WriteByte(c)
		}
	}
	return nil, errUnclosed
}

// doubleQuoted reads a string, evaluates #{…} in it, and knows only the escapes of ", \ and #.
func (p *parser) doubleQuoted(dry bool) (any, error) {
	p.rest = p.rest[1:]
	var out strings.Builder
	for p.rest != "" {
		switch {
		case p.rest[0] == '"':
			p.rest = p.rest[1:]
			return out.String(), nil
		case strings.HasPrefix(p.rest, "#{"):
			p.rest = p.rest[2:]
			value, err := p.block(dry)
			if err != nil {
				return nil, err
			}
			out.WriteString(toS(value))
			continue
		case p.rest[0] == '\\':
			if len(p.rest) < 2 || !strings.ContainsRune(`"\#`, rune(p.rest[1])) {
				return nil, fmt.Errorf("catenary does not understand an escape in a string")
			}
			p.rest = p.rest[1:]
		}
		out.WriteByte(p.rest[0])
		p.rest = p.rest[1:]
	}
	return nil, errUnclosed
}
