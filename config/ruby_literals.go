package config

import (
	"fmt"
	"strconv"
	"strings"
)

func (r *ruby) word() string {
	r.space()
	n := 0
	for n < len(r.rest) && (r.rest[n] == '_' || r.rest[n]|0x20 >= 'a' && r.rest[n]|0x20 <= 'z' || n > 0 && r.rest[n] >= '0' && r.rest[n] <= '9') {
		n++
	}
	word := r.rest[:n]
	r.rest = r.rest[n:]
	return word
}

func (r *ruby) number() (any, error) {
	n := 0
	for n < len(r.rest) && r.rest[n] >= '0' && r.rest[n] <= '9' {
		n++
	}
	digits := r.rest[:n]
	value, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 1 && digits[0] == '0' {
		return nil, fmt.Errorf("the number %s is beyond what catenary reads", digits)
	}
	r.rest = r.rest[n:]
	return value, nil
}

func (r *ruby) singleQuoted() (any, error) {
	var out strings.Builder
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '\'':
			r.rest = r.rest[i+1:]
			return out.String(), nil
		case c == '\\' && i+1 < len(r.rest) && (r.rest[i+1] == '\'' || r.rest[i+1] == '\\'):
			i++
			out.WriteByte(r.rest[i])
		default:
			out.WriteByte(c)
		}
	}
	return nil, fmt.Errorf("a text does not end")
}

func (r *ruby) doubleQuoted(dry bool) (any, error) {
	r.rest = r.rest[1:]
	var out strings.Builder
	for r.rest != "" {
		switch {
		case r.rest[0] == '"':
			r.rest = r.rest[1:]
			return out.String(), nil
		case strings.HasPrefix(r.rest, "#{"):
			r.rest = r.rest[2:]
			value, err := r.block(dry)
			if err != nil {
				return nil, err
			}
			out.WriteString(toS(value))
			continue
		case r.rest[0] == '\\':
			if len(r.rest) < 2 || !strings.ContainsRune(`"\#`, rune(r.rest[1])) {
				return nil, fmt.Errorf("the text has an escape that is beyond what catenary reads")
			}
			r.rest = r.rest[1:]
		}
		out.WriteByte(r.rest[0])
		r.rest = r.rest[1:]
	}
	return nil, fmt.Errorf("a text does not end")
}
