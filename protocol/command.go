package protocol

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Kind is what a browser asks for.
type Kind uint8

// The commands of the protocol. Unknown covers everything else, from a command
// that does not exist to text that is no JSON: what becomes of it is for
// Rails to say.
const (
	Unknown Kind = iota
	Subscribe
	Unsubscribe
	Perform // "message" on the wire
)

// Command is as much of a browser's text as the server must understand.
type Command struct {
	Kind       Kind
	Identifier string // decoded; "" if there is none
}

// ParseCommand reads a browser's text. Keys are compared exactly and the last
// of equal keys counts, as in Ruby; encoding/json alone would accept
// "Command" too. What Ruby's versions read differently, or more leniently than
// Go, is Unknown: then Rails' answer tells what it was.
func ParseCommand(text []byte) Command {
	if !json.Valid(text) {
		return Command{}
	}
	var command, identifier []byte
	eachMember(text, func(key, value []byte) {
		name, _ := unquote(key)
		switch string(name) {
		case "command":
			command = value
		case "identifier":
			identifier = value
		}
	})
	name, read := unquote(identifier)
	if !read {
		return Command{}
	}
	c := Command{Identifier: string(name)}
	kind, _ := unquote(command)
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

// unquote decodes a JSON string; it reports false for anything else, and for half
// a surrogate pair, of which each JSON library makes something else.
func unquote(value []byte) (text []byte, read bool) {
	if len(value) == 0 || value[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	var s string
	if json.Unmarshal(value, &s) != nil || strings.ContainsRune(s, utf8.RuneError) {
		return nil, false
	}
	return []byte(s), true
}

// UnsubscribeCommand is what a browser says to unsubscribe.
func UnsubscribeCommand(identifier string) string {
	return `{"command":"unsubscribe","identifier":` + string(Quote(identifier)) + `}`
}

// eachMember calls f with every key and value of the object at the top of
// valid JSON, as they are written.
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
		start = skipSpace(text, skipSpace(text, at)+1) // over the colon
		at = skipValue(text, start)
		f(key, text[start:at])
		if at = skipSpace(text, at); text[at] == '}' {
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

// skipValue returns the place behind the value of valid JSON that starts at at.
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
		default: // a number or a word, up to what may follow it
			for at+1 < len(text) && !ends(text[at+1]) {
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

func ends(c byte) bool {
	return c == ',' || c == '}' || c == ']' || c == ' ' || c == '\t' || c == '\n' || c == '\r'
}
