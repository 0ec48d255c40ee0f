package rpc

import (
	"encoding/json"
	"strconv"
)

// cursor walks over JSON that is known to be valid. Replies are read with it,
// because they come once for every command of every browser, and reflection
// would cost more than all the rest of the call. A value of another type than
// the one asked for is passed over.
type cursor struct {
	text []byte
	at   int
}

// peek skips white space and tells what comes.
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

// object calls f with each key; f must read the value.
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
		key := c.string()
		c.peek()
		c.at++ // the colon
		f(key)
	}
	c.at++
}

// array calls f for each element, which f must read.
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

// string reads a text.
func (c *cursor) string() string {
	raw := c.raw()
	if raw[0] != '"' {
		return ""
	}
	for _, b := range raw[1 : len(raw)-1] {
		if b == '\\' {
			var s string
			json.Unmarshal(raw, &s)
			return s
		}
	}
	return string(raw[1 : len(raw)-1])
}

// number reads a whole number that is not negative; 0 if it is none.
func (c *cursor) number() uint64 {
	n, _ := strconv.ParseUint(string(c.raw()), 10, 64)
	return n
}

// decode reads what is rare with encoding/json.
func (c *cursor) decode(into any) error { return json.Unmarshal(c.raw(), into) }

// raw returns the value as it is written.
func (c *cursor) raw() []byte {
	c.peek()
	start := c.at
	c.skip()
	return c.text[start:c.at]
}

// skip passes over one value.
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
