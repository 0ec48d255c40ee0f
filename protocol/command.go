package protocol

import "encoding/json"

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
// "Command" too.
func ParseCommand(text []byte) Command {
	if !json.Valid(text) {
		return Command{}
	}
	var command, identifier []byte
	eachMember(text, func(key, value []byte) {
		switch string(key) {
		case `"command"`:
			command = value
		case `"identifier"`:
			identifier = value
		}
	})
	var c Command
	switch string(command) {
	case `"subscribe"`:
		c.Kind = Subscribe
	case `"unsubscribe"`:
		c.Kind = Unsubscribe
	case `"message"`:
		c.Kind = Perform
	}
	if len(identifier) == 0 || identifier[0] != '"' || json.Unmarshal(identifier, &c.Identifier) != nil {
		return Command{}
	}
	return c
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
