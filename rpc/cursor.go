package rpc

import (
	"encoding/json"
	"strconv"

	"github.com/catenary-cable/catenary/protocol"
)

// cursor walks through JSON that is known to be valid. Rails sends a result for every command of
// every browser, and parsing it by reflection would cost more than the rest of the call. cursor skips
// a value whose type is not the expected one.
type cursor struct {
	text []byte
	at   int
}

// peek skips white space and returns the next byte, without consuming it.
func (c *cursor) peek() byte {
	for {
		switch b := c.text[c.at]; b {
		case ' ', '\t', '\n', '\r':
			c.at++
		default:
			return b
		}
	}
}

// object calls f with each key of an object; f must consume the value.
func (c *cursor) object(f func(key string)) {
	if c.peek() != '{' {
		c.skip()
		return
	}
	for c.at++; c.peek() != '}'; {
		if c.peek() == ',' {
			c.at++
			c.peek()
		}
		key := c.word()
		c.peek()
		c.at++ // the colon
		f(key)
	}
	c.at++
}

// array calls f for each element of an array; f must consume it.
func (c *cursor) array(f func()) {
	if c.peek() != '[' {
		c.skip()
		return
	}
	for c.at++; c.peek() != ']'; {
		if c.peek() == ',' {
			c.at++
		}
		f()
	}
	c.at++
}

// string consumes a string; "" if the value has another type.
func (c *cursor) string() string {
	text, _ := protocol.Unquote(c.raw())
	return text
}

// word consumes a string that is one of few: a key, or the kind of an effect. It allocates nothing for
// those that each call has.
func (c *cursor) word() string {
	raw := c.raw()
	if known, ok := words[string(raw)]; ok {
		return known
	}
	text, _ := protocol.Unquote(raw)
	return text
}

// words are the frequent words by their JSON.
var words = func() map[string]string {
	words := map[string]string{}
	for _, word := range []string{
		"call", "end", "status", "ver", "kept", "state", "ops", "channels", "timers", "id", "tags",
		OpSend, OpConfirm, OpReject, OpSub, OpUnsub, OpInternal, OpClose, OpDrop, OpChannel, "welcome", "message",
	} {
		words[strconv.Quote(word)] = word
	}
	return words
}()

// number consumes a whole number; 0 if the value is anything else or negative.
func (c *cursor) number() uint64 {
	n, _ := strconv.ParseUint(string(c.raw()), 10, 64)
	return n
}

// decode consumes a value with encoding/json, for fields that are rare.
func (c *cursor) decode(into any) error { return json.Unmarshal(c.raw(), into) }

// raw consumes a value and returns its JSON.
func (c *cursor) raw() []byte {
	c.peek()
	start := c.at
	c.skip()
	return c.text[start:c.at]
}

// skip consumes one value.
func (c *cursor) skip() {
	depth := 0
	for {
		switch c.peek() {
		case '"':
			for c.at++; c.text[c.at] != '"'; c.at++ {
				if c.text[c.at] == '\\' {
					c.at++
				}
			}
			c.at++
		case '{', '[':
			depth++
			c.at++
		case '}', ']':
			depth--
			c.at++
		case ',', ':':
			c.at++
		default:
			for c.at < len(c.text) && !delimits(c.text[c.at]) {
				c.at++
			}
		}
		if depth == 0 {
			return
		}
	}
}

func delimits(b byte) bool {
	switch b {
	case ',', ':', '}', ']', ' ', '\t', '\n', '\r':
		return true
	}
	return false
}
