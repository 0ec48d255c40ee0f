package broadcast

import (
	"strconv"
	"strings"

	"github.com/tidwall/redcon"
)

func (c *respClient) unknown(command string) {
	if len(command) > 64 {
		command = command[:64]
	}
	c.fail("ERR unknown command " + strconv.Quote(command) + ": this is catenary's embedded broadcast source and not " +
		"a Redis; it knows pub/sub only")
}

// arity checks the number of arguments, the command's name included.
func (c *respClient) arity(args [][]byte, least, most int) bool {
	if len(args) >= least && len(args) <= most {
		return true
	}
	c.wrongArity(string(args[0]))
	return false
}

func (c *respClient) wrongArity(verb string) {
	c.fail("ERR wrong number of arguments for '" + strings.ToLower(verb) + "' command")
}

func (c *respClient) fail(message string) {
	c.reply(func(b []byte) []byte { return redcon.AppendError(b, message) })
}

func (c *respClient) ok() {
	c.reply(redcon.AppendOK)
}

func (c *respClient) bulk(text string) {
	c.reply(func(b []byte) []byte { return redcon.AppendBulkString(b, text) })
}

func (c *respClient) array(items []string) {
	c.reply(func(b []byte) []byte { return appendStrings(redcon.AppendArray(b, len(items)), items...) })
}

// pairs is a map in RESP3 and a flat array before.
func (c *respClient) pairs(items []string) {
	c.reply(func(b []byte) []byte { return appendStrings(c.appendMap(b, len(items)/2), items...) })
}

func (c *respClient) appendMap(b []byte, n int) []byte {
	if !c.resp3 {
		return redcon.AppendArray(b, 2*n)
	}
	b = append(b, '%')
	b = strconv.AppendInt(b, int64(n), 10)
	return append(b, '\r', '\n')
}

func appendStrings(b []byte, items ...string) []byte {
	for _, item := range items {
		b = redcon.AppendBulkString(b, item)
	}
	return b
}
