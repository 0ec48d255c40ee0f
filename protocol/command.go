package protocol

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Kind is the kind of a browser's command.
type Kind uint8

// The commands of the protocol. Unknown is everything else, from a command that does
// not exist to invalid JSON: Rails decides what to do with it.
const (
	Unknown Kind = iota
	Subscribe
	Unsubscribe
	Perform // "message" on the wire
)

// Command is the part of a browser's message that the server must understand.
type Command struct {
	Kind       Kind
	Identifier string // decoded; "" if there is none
	History    string // undecoded, for ParseHistory; "" if there is none
	Extended   string // a command of the extended sub-protocol, such as "ping"; Kind is Unknown then
}

// ParseCommand parses a browser's message. As in Ruby, keys are case-sensitive and the
// last of equal keys counts; encoding/json would accept "Command" too. A message that
// versions of Ruby parse differently, or that Ruby accepts and Go does not, is Unknown:
// Rails' answer shows what it was.
func ParseCommand(text []byte) Command {
	if !json.Valid(text) {
		return Command{}
	}
	var command, identifier, history []byte // undecoded
	eachMember(text, func(key, value []byte) {
		name, _ := unquote(key)
		switch string(name) {
		case "command":
			command = value
		case "identifier":
			identifier = value
		case "history":
			history = value
		}
	})
	kind, _ := unquote(command)
	decoded, ok := unquote(identifier)
	if !ok {
		return Command{Extended: extendedCommand(kind)}
	}
	// ParseHistory rejects what is longer, so the rest need not be kept.
	history = history[:min(len(history), maxHistoryBytes+1)]
	c := Command{Identifier: string(decoded), History: string(history), Extended: extendedCommand(kind)}
	switch string(kind) {
	case "subscribe":
		c.Kind = Subscribe
	case "unsubscribe":
		c.Kind = Unsubscribe
	case "message":
		c.Kind = Perform
	}
	return c
}

// eachMember calls f with every key and value, undecoded, of the top-level object of
// valid JSON.
func eachMember(text []byte, f func(key, value []byte)) {
	at := skipSpace(text, 0)
	if text[at] != '{' {
		return
	}
	for {
		start := skipSpace(text, at+1)
		if text[start] == '}' {
			return
		}
		at = skipValue(text, start)
		key := text[start:at]
		colon := skipSpace(text, at)
		start = skipSpace(text, colon+1)
		at = skipValue(text, start)
		f(key, text[start:at])
		at = skipSpace(text, at)
		if text[at] == '}' {
			return
		}
	}
}

func skipSpace(text []byte, at int) int {
	for text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r' {
		at++
	}
	return at
}

// skipValue returns the index after the JSON value that starts at at.
func skipValue(text []byte, at int) int {
	depth := 0
	for {
		switch text[at] {
		case '"':
			for at++; text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case ',', ':':
		default: // a number, true, false or null
			for at+1 < len(text) && !endsLiteral(text[at+1]) {
				at++
			}
		}
		at++
		if depth == 0 {
			return at
		}
		at = skipSpace(text, at)
	}
}

func endsLiteral(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\n' || c == '\r'
}

// unquote decodes a JSON string. It returns false for any other value, and for a string
// with an unpaired surrogate, which every JSON library decodes differently.
func unquote(value []byte) (text []byte, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	text, ok = unescape(value[1 : len(value)-1])
	if ok {
		return text, true
	}
	var s string
	if json.Unmarshal(value, &s) != nil || strings.ContainsRune(s, utf8.RuneError) {
		return nil, false
	}
	return []byte(s), true
}

// unescape decodes the inside of a JSON string that is ASCII without \u. It returns false for all
// others, which are rare and left to encoding/json.
func unescape(inside []byte) (text []byte, ok bool) {
	text = make([]byte, 0, len(inside))
	for i := 0; i < len(inside); i++ {
		c := inside[i]
		if c >= utf8.RuneSelf {
			return nil, false
		}
		if c == '\\' {
			i++
			switch c = inside[i]; c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'u':
				return nil, false
			}
		}
		text = append(text, c)
	}
	return text, true
}

// Unquote decodes a value of valid JSON if it is a string. Invalid UTF-8 in one with escapes becomes
// U+FFFD.
func Unquote(value []byte) (text string, ok bool) {
	if value[0] != '"' {
		return "", false
	}
	inside := value[1 : len(value)-1]
	if bytes.IndexByte(inside, '\\') < 0 {
		return string(inside), true
	}
	decoded, ok := unescape(inside)
	if ok {
		return string(decoded), true
	}
	json.Unmarshal(value, &text)
	return text, true
}

// UnsubscribeCommand returns the message with which a browser unsubscribes.
func UnsubscribeCommand(identifier string) string {
	return `{"command":"unsubscribe","identifier":` + string(Quote(identifier)) + `}`
}
