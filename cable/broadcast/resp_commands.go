package broadcast

import (
	"strings"

	"github.com/tidwall/redcon"
)

// execute answers one command; the reply waits until flush.
func (c *respClient) execute(args [][]byte) {
	verb := strings.ToUpper(string(args[0]))
	switch verb {
	case "POST", "HOST:":
		// A web page that makes a browser talk to a local port; Redis hangs up too.
		c.source.log.Warn("an HTTP client reached the embedded broadcast source and was cut off",
			"client", c.conn.RemoteAddr().String())
		c.quit = true
		return
	case "QUIT":
		c.ok()
		c.quit = true
		return
	case "AUTH":
		c.auth(args)
		return
	case "HELLO":
		c.hello(args)
		return
	}
	if !c.authenticated {
		c.fail("NOAUTH Authentication required.")
		return
	}
	if c.subscriber() {
		switch verb {
		case "SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "PING", "RESET":
		default:
			c.fail("ERR Can't execute '" + strings.ToLower(verb) +
				"': only (P)SUBSCRIBE / (P)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context")
			return
		}
	}
	switch verb {
	case "PUBLISH":
		c.publish(args)
	case "SUBSCRIBE", "PSUBSCRIBE":
		c.subscribe(verb, args)
	case "UNSUBSCRIBE", "PUNSUBSCRIBE":
		c.unsubscribe(verb, args)
	case "PUBSUB":
		c.pubsub(args)
	case "PING":
		c.ping(args)
	case "ECHO":
		if c.arity(args, 2, 2) {
			c.bulk(string(args[1]))
		}
	case "SELECT":
		if c.arity(args, 2, 2) {
			c.ok()
		}
	case "CLIENT":
		c.client(args)
	case "INFO":
		c.bulk(c.info())
	case "COMMAND":
		if len(args) > 1 && strings.EqualFold(string(args[1]), "COUNT") {
			c.reply(func(b []byte) []byte { return redcon.AppendInt(b, 0) })
			return
		}
		c.array(nil)
	case "CONFIG":
		if len(args) > 1 && strings.EqualFold(string(args[1]), "GET") {
			c.pairs(nil)
			return
		}
		c.unknown("config")
	case "RESET":
		c.unsubscribeAll()
		c.mu.Lock()
		c.resp3 = false
		c.mu.Unlock()
		c.authenticated = c.source.options.Password == ""
		c.reply(func(b []byte) []byte { return redcon.AppendString(b, "RESET") })
	default:
		c.unknown(string(args[0]))
	}
}

// subscriber tells whether RESP2's restriction to pub/sub commands holds.
func (c *respClient) subscriber() bool {
	return !c.resp3 && len(c.topics)+len(c.patterns) > 0
}

func (c *respClient) ping(args [][]byte) {
	if !c.arity(args, 1, 2) {
		return
	}
	text := ""
	if len(args) == 2 {
		text = string(args[1])
	}
	switch {
	case c.subscriber():
		c.reply(func(b []byte) []byte { return appendStrings(redcon.AppendArray(b, 2), "pong", text) })
	case len(args) == 2:
		c.bulk(text)
	default:
		c.reply(func(b []byte) []byte { return redcon.AppendString(b, "PONG") })
	}
}
