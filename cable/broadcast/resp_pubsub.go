package broadcast

import (
	"context"
	"sort"
	"strings"

	"github.com/tidwall/match"
	"github.com/tidwall/redcon"
)

func (c *respClient) publish(args [][]byte) {
	if !c.arity(args, 3, 3) {
		return
	}
	// The arguments are slices of this command's own buffer, so they can be kept.
	receivers, err := c.source.publish(context.Background(), string(args[1]), args[2])
	if err != nil {
		c.fail("ERR " + err.Error())
		return
	}
	c.reply(func(b []byte) []byte { return redcon.AppendInt(b, int64(receivers)) })
}

func (c *respClient) subscribe(verb string, args [][]byte) {
	if len(args) < 2 {
		c.wrongArity(verb)
		return
	}
	e := c.source
	e.mu.Lock()
	defer e.mu.Unlock()
	c.startPushing()
	registry, own := c.books(verb)
	for _, arg := range args[1:] {
		name := string(arg)
		own[name] = struct{}{}
		if registry[name] == nil {
			registry[name] = make(map[*respClient]struct{})
		}
		registry[name][c] = struct{}{}
		c.confirm(verb, &name)
	}
}

func (c *respClient) unsubscribe(verb string, args [][]byte) {
	e := c.source
	e.mu.Lock()
	defer e.mu.Unlock()
	registry, own := c.books(verb)
	names := make([]string, 0, len(args)+len(own))
	for _, arg := range args[1:] {
		names = append(names, string(arg))
	}
	if len(args) == 1 {
		for name := range own {
			names = append(names, name)
		}
	}
	for _, name := range names {
		delete(own, name)
		drop(registry, name, c)
		c.confirm(verb, &name)
	}
	if len(names) == 0 {
		c.confirm(verb, nil)
	}
}

func (c *respClient) unsubscribeAll() {
	e := c.source
	e.mu.Lock()
	defer e.mu.Unlock()
	for topic := range c.topics {
		drop(e.topics, topic, c)
	}
	for pattern := range c.patterns {
		drop(e.patterns, pattern, c)
	}
	clear(c.topics)
	clear(c.patterns)
}

// books finds where the verb's subscriptions are kept: for all, and for us.
func (c *respClient) books(verb string) (map[string]map[*respClient]struct{}, map[string]struct{}) {
	if strings.HasPrefix(verb, "P") {
		return c.source.patterns, c.patterns
	}
	return c.source.topics, c.topics
}

func (c *respClient) confirm(verb string, name *string) {
	c.reply(func(b []byte) []byte {
		b = c.appendPush(b, 3, strings.ToLower(verb))
		switch {
		case name != nil:
			b = redcon.AppendBulkString(b, *name)
		case c.resp3:
			b = append(b, "_\r\n"...)
		default:
			b = redcon.AppendNull(b)
		}
		return redcon.AppendInt(b, int64(len(c.topics)+len(c.patterns)))
	})
}

func drop(registry map[string]map[*respClient]struct{}, name string, c *respClient) {
	delete(registry[name], c)
	if len(registry[name]) == 0 {
		delete(registry, name)
	}
}

// pubsub shows what catenary itself hears, too.
func (c *respClient) pubsub(args [][]byte) {
	e := c.source
	e.mu.RLock()
	defer e.mu.RUnlock()
	sub := ""
	if len(args) > 1 {
		sub = strings.ToUpper(string(args[1]))
	}
	switch sub {
	case "CHANNELS":
		pattern := "*"
		if len(args) > 2 {
			pattern = string(args[2])
		}
		var names []string
		for topic := range e.wanted {
			if matches(topic, pattern) {
				names = append(names, topic)
			}
		}
		for topic := range e.topics {
			if _, listed := e.wanted[topic]; !listed && matches(topic, pattern) {
				names = append(names, topic)
			}
		}
		sort.Strings(names)
		c.array(names)
	case "NUMSUB":
		c.reply(func(b []byte) []byte {
			b = redcon.AppendArray(b, 2*(len(args)-2))
			for _, arg := range args[2:] {
				n := len(e.topics[string(arg)])
				if _, ours := e.wanted[string(arg)]; ours {
					n++
				}
				b = redcon.AppendInt(redcon.AppendBulk(b, arg), int64(n))
			}
			return b
		})
	case "NUMPAT":
		c.reply(func(b []byte) []byte { return redcon.AppendInt(b, int64(len(e.patterns))) })
	default:
		c.unknown("pubsub " + strings.ToLower(sub))
	}
}

// matches knows * and ?, not the character classes of Redis' own patterns.
func matches(name, pattern string) bool {
	return match.Match(name, pattern)
}
